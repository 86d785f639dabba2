"""The command line, with the pipeline replaced by recorders."""

import json
import math
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, SimpleNamespace
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


@dataclass
class Call:
    function: str
    arguments: tuple[Any, ...]
    options: dict[str, Any]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Call]:
    """Calls of the pipeline, whose modules are replaced: nothing is trained and Ray is not imported."""
    recorded: list[Call] = []

    def recorder(name: str, answer: Any) -> Any:
        def record(*arguments: Any, **options: Any) -> Any:
            recorded.append(Call(name, arguments, options))
            return answer

        return record

    stage = SimpleNamespace(directory=Path("runs/x/stage"))
    finished = SimpleNamespace(pretrain=stage, attack=stage, finetune=None, evaluation=None, summary=None)
    record = {"robot": "hopper", "seed": 1, "chosen_at_step": 5, "score": {"mean": 99.0}, "curve": [1, 2]}
    modules = {
        "run": {"run_experiment": finished, "report": None},
        "attack": {"attack_checkpoint": {"bank": "bank.npz"}},
        "checkpoints": {"evaluate_checkpoints": {"a": {"normal": {"mean": 98.76, "se": math.nan, "n": 1}}}},
        "expert": {"train_expert": record},
    }
    for module_name, functions in modules.items():
        module = ModuleType(f"afrl_ray.pipeline.{module_name}")
        for name, answer in functions.items():
            setattr(module, name, recorder(name, answer))
        monkeypatch.setitem(sys.modules, module.__name__, module)
    return recorded


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
def test_experiments_run_up_to_their_stage(command: str, until: str, config: str, calls: list[Call]) -> None:
    assert main([command, config, "curriculum.type=adaptive"]) == 0
    run, report = calls
    assert run.function == "run_experiment"
    assert run.arguments == (ExperimentSettings(seed=3, curriculum=AdaptiveCurriculum()),)
    assert run.options == {"until": until}
    assert report.function == "report"


def test_overrides_may_stand_around_options(config: str, calls: list[Call]) -> None:
    assert main(["run", config, "--json", "seed=4"]) == 0
    assert main(["run", "--json", config, "seed=4"]) == 0
    assert [call.arguments[0].seed for call in calls if call.function == "run_experiment"] == [4, 4]


def test_json_is_all_that_is_on_standard_output(
    config: str, calls: list[Call], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", config, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == {"pretrain": "runs/x/stage", "attack": "runs/x/stage"}
    assert [call.function for call in calls] == ["run_experiment", "report"]


def test_attack_on_a_checkpoint(config: str, calls: list[Call], capsys: pytest.CaptureFixture[str]) -> None:
    Path("policy").touch()
    arguments = ["attack", "policy", "--env", "hopper", "--epsilon", "0.2", "--seed", "7", "--searches", "4"]
    assert main([*arguments, "--output", "bank.npz", "attack.generations=2", "--json"]) == 0
    (call,) = calls
    checkpoint, settings, output = call.arguments
    assert (call.function, checkpoint, output) == ("attack_checkpoint", Path("policy"), Path("bank.npz"))
    assert (settings.environment.id, settings.perturbation.epsilon, settings.seed) == ("hopper", 0.2, 7)
    assert (settings.attack.training_bank, settings.attack.generations) == (4, 2)
    assert json.loads(capsys.readouterr().out) == {"bank": "bank.npz"}
    assert config


def test_evaluating_checkpoints(config: str, calls: list[Call], capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a", "b", "bank.npz"):
        Path(name).touch()
    arguments = ["evaluate", "a", "b", "--env", "Ant-v4", "--bank", "bank.npz", "--episodes", "9"]
    assert main([*arguments, "evaluation.conditions=[normal, adversarial]"]) == 0
    (call,) = calls
    checkpoints, settings, banks, critic, output = call.arguments
    assert (checkpoints, banks, critic, output) == (
        [Path("a"), Path("b")],
        [Path("bank.npz")],
        None,
        Path("evaluation"),
    )
    assert (settings.environment.id, settings.evaluation.episodes) == ("Ant-v4", 9)
    assert settings.evaluation.conditions == ("normal", "adversarial")
    assert capsys.readouterr().out == "| policy | normal |\n| --- | ---: |\n| a | 98.8 |\n"
    assert config


def test_an_evaluation_prints_json_that_is_json(
    config: str, calls: list[Call], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("a").touch()
    assert main(["evaluate", "a", "--env", "hopper", "--output", "out", "--json"]) == 0
    printed = capsys.readouterr().out
    assert "NaN" not in printed
    assert json.loads(printed) == {"a": {"normal": {"mean": 98.76, "se": None, "n": 1}}}
    assert calls[0].arguments[-1] == Path("out")
    assert config


@pytest.mark.parametrize(
    ("words", "is_asked"),
    [([], False), (["--adaptive-attack"], True), (["evaluation.adaptive_attack=true"], True)],
)
def test_checkpoints_are_attacked_afresh_when_asked(
    words: list[str], is_asked: bool, config: str, calls: list[Call]
) -> None:
    Path("a").touch()
    assert main(["evaluate", "a", "--env", "hopper", *words]) == 0
    assert calls[0].arguments[1].evaluation.adaptive_attack is is_asked
    assert config


def test_an_evaluation_replaces_only_an_evaluation(
    config: str, calls: list[Call], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("a").touch()
    folder = Path("evaluation")
    command = ["evaluate", "a", "--env", "hopper"]
    folder.mkdir()
    assert main(command) == 0
    (folder / "notes.txt").touch()
    assert main(command) == 2
    (folder / "summary.json").touch()
    assert main(command) == 0
    (folder / "started.json").touch()
    assert main(command) == 2
    assert main([*command, "--output", config]) == 2
    assert main([*command, "--output", f"{config}/out"]) == 2
    assert capsys.readouterr().err == (
        "error: evaluation holds something else than an evaluation; name another folder with --output DIR\n"
        "error: evaluation is a stage of an experiment; name another folder with --output DIR\n"
        "error: x.yaml is a file; name another folder with --output DIR\n"
        f"error: x.yaml/out/summary.json cannot be written: {Path(config).absolute()} is not a folder that you may "
        "write to\n"
    )
    assert len(calls) == 2


@pytest.mark.parametrize(
    ("output", "line"),
    [
        ("bank.json", "--output bank.json: a bank is an npz file; write bank.npz"),
        ("bank", "--output bank: a bank is an npz file; write bank.npz"),
        (".", "--output . is a folder; write a file in it, such as bank.npz"),
        ("policy/bank.npz", "policy/bank.npz cannot be written: {here}/policy is not a folder that you may write to"),
    ],
)
def test_a_bank_is_written_where_it_can_be(
    output: str, line: str, config: str, calls: list[Call], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("policy").touch()
    assert main(["attack", "policy", "--env", "hopper", "--output", output]) == 2
    assert capsys.readouterr().err == f"error: {line.format(here=Path.cwd())}\n"
    assert main(["attack", "policy", "--env", "hopper", "--output", "new/bank.npz"]) == 0
    assert [call.arguments[-1] for call in calls] == [Path("new/bank.npz")]
    assert config


def test_evaluating_an_experiment(config: str, calls: list[Call]) -> None:
    assert main(["evaluate", config, "seed=5"]) == 0
    assert calls[0].options == {"until": "evaluation"}
    assert calls[0].arguments[0].seed == 5


def test_a_sweep_runs_the_search(config: str, calls: list[Call]) -> None:
    assert main(["sweep", config, "search.space.curriculum.q=[0.1, 0.5]"]) == 0
    assert calls[0].arguments[0].search is not None


def test_train_expert_takes_options_and_overrides(config: str, calls: list[Call]) -> None:
    arguments = ["train-expert", "ant", "--steps", "30000", "--seed", "1", "algorithm.gamma=0.98"]
    assert main(arguments) == 0
    settings, directory = calls[0].arguments
    assert isinstance(settings, ExpertSettings)
    assert (settings.environment.id, settings.steps, settings.seed) == ("ant", 30_000, 1)
    assert (settings.algorithm.gamma, settings.algorithm.batch_size) == (0.98, 128)
    assert directory == Path("runs/expert-ant").absolute()
    assert config


def test_train_expert_takes_an_algorithm(config: str, calls: list[Call]) -> None:
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
    calls: list[Call],
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
    calls: list[Call],
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


def test_a_bug_keeps_its_traceback(config: str, calls: list[Call], monkeypatch: pytest.MonkeyPatch) -> None:
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


@pytest.mark.parametrize("arguments", [["--version"], ["run", "--help"], ["config", "validate", "x.yaml"]])
def test_neither_torch_nor_ray_is_imported(arguments: list[str], config: str) -> None:
    code = (
        "import sys\n"
        "from afrl_ray.cli import main\n"
        "try:\n"
        f"    main({arguments!r})\n"
        "except SystemExit:\n"
        "    pass\n"
        "heavy = {'torch', 'ray', 'mlflow', 'gymnasium', 'numpy'} & sys.modules.keys()\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert config


def test_python_dash_m(config: str) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "afrl_ray", "config", "validate", config], check=False, capture_output=True, text=True
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "x.yaml: OK\n", "")
