"""The command line, with the pipeline replaced by recorders."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from afrl_ray import __version__
from afrl_ray.cli import main
from afrl_ray.config import AdaptiveCurriculum, ExperimentSettings, ExpertSettings, SACSettings

COMMANDS = (
    "run",
    "pretrain",
    "attack",
    "finetune",
    "evaluate",
    "sweep",
    "reproduce",
    "train-expert",
    "data",
    "ui",
    "config",
)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_info:
        main(["--version"])
    assert exit_info.value.code == 0
    assert capsys.readouterr().out == f"afrl {__version__}\n"


@pytest.mark.parametrize("command", [*COMMANDS, "config show", "config validate", "config schema"])
def test_every_command_has_help_with_examples(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_info:
        main([*command.split(), "--help"])
    assert exit_info.value.code == 0
    assert f"examples:\n  afrl {command}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("command", "until"),
    [("run", "evaluation"), ("pretrain", "pretrain"), ("attack", "attack"), ("finetune", "finetune")],
)
def test_experiments_run_up_to_their_stage(command: str, until: str, config: str, calls: list[Any]) -> None:
    assert main([command, config, "curriculum.type=adaptive"]) == 0
    run, report = calls
    assert run.function == "run_experiment"
    assert run.arguments == (ExperimentSettings(seed=3, curriculum=AdaptiveCurriculum()),)
    assert run.options == {"until": until}
    assert report.function == "report"


def test_overrides_may_stand_around_options(config: str, calls: list[Any]) -> None:
    assert main(["run", config, "--json", "seed=4"]) == 0
    assert main(["run", "--json", config, "seed=4"]) == 0
    assert [call.arguments[0].seed for call in calls if call.function == "run_experiment"] == [4, 4]


def test_json_is_all_that_is_on_standard_output(
    config: str, calls: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", config, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == {"pretrain": "runs/x/stage", "attack": "runs/x/stage"}
    assert [call.function for call in calls] == ["run_experiment", "report"]


def test_evaluating_an_experiment(config: str, calls: list[Any]) -> None:
    assert main(["evaluate", config, "seed=5"]) == 0
    assert calls[0].options == {"until": "evaluation"}
    assert calls[0].arguments[0].seed == 5


def test_a_sweep_runs_the_search(config: str, calls: list[Any]) -> None:
    assert main(["sweep", config, "search.space.curriculum.q=[0.1, 0.5]"]) == 0
    assert calls[0].arguments[0].search is not None


def test_train_expert_takes_options_and_overrides(config: str, calls: list[Any]) -> None:
    arguments = ["train-expert", "ant", "--steps", "30000", "--seed", "1", "algorithm.gamma=0.98"]
    assert main(arguments) == 0
    settings, directory = calls[0].arguments
    assert isinstance(settings, ExpertSettings)
    assert (settings.environment.id, settings.steps, settings.seed) == ("ant", 30_000, 1)
    assert (settings.algorithm.gamma, settings.algorithm.batch_size) == (0.98, 128)
    assert directory == Path("runs/expert-ant").absolute()
    assert config


def test_train_expert_takes_an_algorithm(config: str, calls: list[Any]) -> None:
    assert main(["train-expert", "halfcheetah", "--algorithm", "sac", "algorithm.target_entropy=-3"]) == 0
    assert calls[0].arguments[0].algorithm == SACSettings(target_entropy=-3)
    assert config


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["run", "none.yaml"], "none.yaml: there is no such file"),
        (["run"], "the following arguments are required: CONFIG; see afrl run --help"),
        (["run", "x.yaml", "--fast"], "unknown argument --fast; see afrl --help"),
        (["attack", "policy"], "a checkpoint needs its environment: add --env ID, such as --env Hopper-v4"),
        (["attack", "policy", "--env", "hopper"], "there is nothing at policy"),
        (
            ["attack", "x.yaml", "--env", "hopper", "--seed", "1"],
            "--env, --seed is for checkpoints; with a YAML file write NAME=VALUE, such as seed=1",
        ),
        (["evaluate", "x.yaml", "policy"], "afrl evaluate takes one YAML file, or checkpoints, not both"),
        (["evaluate", "x.yaml", "--bank", "b", "--env", "hopper"], None),
        (["evaluate", "x.npz", "--env", "hopper"], "there is nothing at x.npz"),
        (
            ["evaluate", "x.npz", "--env", "hopper", "--episodes", "0"],
            "override evaluation.episodes=0: evaluation.episodes is 0; it should be greater than 0",
        ),
        (["sweep", "x.yaml"], "x.yaml: search.space must be given for a sweep; without one, use afrl run"),
        (["train-expert", "hopper", "step=3"], "override step=3: step is not a setting; did you mean steps?"),
        (
            ["train-expert", "hopper", "--algorithm", "iql"],
            'override algorithm.type=iql: algorithm.type is "iql"; write one of td3, sac',
        ),
    ],
)
def test_mistakes_are_one_line_and_status_2(
    arguments: list[str],
    line: str | None,
    config: str,
    calls: list[Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    try:
        status = main(arguments)
    except SystemExit as exit_info:  # argparse's own
        status = int(exit_info.code or 0)
    printed = capsys.readouterr()
    assert (status, printed.out) == (2, "")
    assert len(printed.err.splitlines()) == 1
    if line is not None:
        assert printed.err == f"error: {line}\n"
    assert not calls
    assert config


class RemoteError(ValueError):
    """As Ray raises it: a long report, with the worker's own error as `cause`."""

    cause = ValueError("the bank is for 3 joints")


@pytest.mark.parametrize(
    ("raised", "status", "printed"),
    [
        (ValueError("the bank is for 3 joints"), 2, "error: the bank is for 3 joints\n"),
        (FileNotFoundError("no policy file at x"), 2, "error: no policy file at x\n"),
        (ImportError("pip install 'afrl-ray[minari]'"), 2, "error: pip install 'afrl-ray[minari]'\n"),
        (RemoteError("a long report\nover many lines"), 2, "error: the bank is for 3 joints\n"),
        (KeyboardInterrupt(), 130, "interrupted: the same command continues where this one stopped\n"),
    ],
)
def test_errors_of_the_pipeline(
    raised: BaseException,
    status: int,
    printed: str,
    config: str,
    calls: list[Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise raised

    monkeypatch.setattr(sys.modules["afrl_ray.pipeline.run"], "run_experiment", fail)
    assert main(["run", config]) == status
    assert capsys.readouterr().err == printed
    if status == 2:
        for words in (["--traceback", "run", config], ["run", config, "--traceback"], ["run", "--traceback", config]):
            assert main(words) == status
            assert "Traceback" in capsys.readouterr().err
    assert not calls


def test_a_bug_keeps_its_traceback(config: str, calls: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise KeyError("internal")

    monkeypatch.setattr(sys.modules["afrl_ray.pipeline.run"], "run_experiment", fail)
    with pytest.raises(KeyError):
        main(["run", config])
    assert not calls


def test_config_show_resolves_and_shows_differences(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "show", config, "curriculum.type=linear"]) == 0
    shown = yaml.safe_load(capsys.readouterr().out)
    assert shown["curriculum"] == {"type": "linear", "q_max": 1.0}
    assert ExperimentSettings.model_validate(shown).seed == 3
    assert main(["config", "show", config, "curriculum.type=linear", "--differences"]) == 0
    assert yaml.safe_load(capsys.readouterr().out) == {"seed": 3, "curriculum": {"type": "linear"}}
    assert main(["config", "show", "seed=9", "--differences"]) == 0
    assert yaml.safe_load(capsys.readouterr().out) == {"seed": 9}


def test_config_validate_goes_through_all_files(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("wrong.yaml").write_text("sed: 3\n")
    assert main(["config", "validate", "wrong.yaml", config]) == 2
    printed = capsys.readouterr()
    assert printed.out == "x.yaml: OK\n"
    assert printed.err == "error: wrong.yaml: sed is not a setting; did you mean seed?\n"
    assert main(["config", "validate", config, "finetune.num_envs=0"]) == 2
    capsys.readouterr()
    assert main(["config", "validate", "seed=1"]) == 2
    assert capsys.readouterr() == ("", "error: seed=1: name a YAML file to check with it\n")


def test_config_schema_is_for_editors(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    assert schema["title"] == "ExperimentSettings"
    assert schema["additionalProperties"] is False


EVERYTHING_HEAVY = {"torch", "ray", "mlflow", "gymnasium", "numpy"}


@pytest.mark.parametrize(
    ("arguments", "heavy"),
    [
        (["--version"], EVERYTHING_HEAVY),
        (["run", "--help"], EVERYTHING_HEAVY),
        (["config", "validate", "x.yaml"], EVERYTHING_HEAVY),
        (["submit", "x.yaml", "--address", "http://127.0.0.1:9"], {"torch", "mlflow"}),
    ],
)
def test_nothing_heavy_is_imported_for_nothing(arguments: list[str], heavy: set[str], config: str) -> None:
    code = (
        "import sys\n"
        "from afrl_ray.cli import main\n"
        "try:\n"
        f"    main({arguments!r})\n"
        "except SystemExit:\n"
        "    pass\n"
        f"heavy = {heavy!r} & sys.modules.keys()\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert config


def test_python_dash_m(config: str) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "afrl_ray", "config", "validate", config], check=False, capture_output=True, text=True
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "x.yaml: OK\n", "")
