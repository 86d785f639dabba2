"""`afrl submit` and `afrl jobs` as far as they go without a cluster."""

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import yaml

import afrl_ray.studies
from afrl_ray.cli import main, study_commands
from afrl_ray.cli.parser import parse_arguments

STUDIES = Path(afrl_ray.studies.__file__).parent
VERBS = ("list", "status", "logs", "stop", "resume")


@pytest.fixture(autouse=True)
def no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS"):
        monkeypatch.setenv(name, "")  # so that whatever is set later goes away with the test
        monkeypatch.delenv(name)


@pytest.mark.parametrize("command", ["submit", "jobs", *(f"jobs {verb}" for verb in VERBS)])
def test_help_has_examples(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_info:
        main([*command.split(), "--help"])
    assert exit_info.value.code == 0
    assert f"examples:\n  afrl {command}" in capsys.readouterr().out


def test_without_a_cluster_submit_is_run(
    config: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ran: list[Any] = []
    module = ModuleType("afrl_ray.pipeline.run")
    finished = SimpleNamespace(summary={"offline": 1}, pretrain=None, attack=None, finetune=None, evaluation=None)
    module.run_experiment = lambda settings, until: ran.append((settings.seed, until)) or finished  # type: ignore[attr-defined]
    module.report = lambda _finished: None  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    assert main(["submit", config, "seed=4", "--json"]) == 0
    assert ran == [(4, "evaluation")]
    printed = capsys.readouterr()
    assert printed.out == '{"offline": 1}\n'
    assert printed.err == "no --address given: running here\n"


def test_studies_can_be_submitted_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that are not the package's own travel with the job, under the names that its arguments have."""
    monkeypatch.chdir(tmp_path)
    content = (STUDIES / "catalogue" / "fig5.yaml").read_text()
    Path("mine.yaml").write_text(content)
    command = ["submit", "table1", "./mine.yaml", "--scale", "smoke", "--seeds", "2"]
    with pytest.raises(ValueError, match="finetune"):  # mistakes in settings are found before anything is sent
        study_commands.submit(parse_arguments([*command, "finetune.batch='a b'"]))
    parsed = parse_arguments([*command, "runtime.resources.trial.cpus=2", "runtime.address=http://head:8265"])
    what = study_commands.submit(parsed)
    specification = what.specification()
    assert what.runtime_address == "http://head:8265"
    assert specification.arguments == (
        *("reproduce", "table1", "mine.yaml", "--scale", "smoke", "--output", "runs/studies", "--seeds", "2"),
        "runtime.resources.trial.cpus=2",
    )
    assert specification.files == {"mine.yaml": yaml.safe_load(content)}
    assert specification.runtime.resources.trial.cpus == 2
    assert specification.runtime.address is None
    assert specification.output == "runs/studies"
    assert specification.job_id.startswith("table1-mine-smoke-")
    (tmp_path / "job").mkdir()
    monkeypatch.chdir(tmp_path / "job")  # as on the cluster
    Path("mine.yaml").write_text(yaml.safe_dump(specification.files["mine.yaml"], sort_keys=False))
    again = parse_arguments(specification.arguments)
    study_commands._move_overrides(again)
    plans, cases = study_commands.plans_and_cases(again)
    assert [plan.study.title for plan in plans] == [
        plan.study.title for plan in study_commands.plans_and_cases(parsed)[0]
    ]
    assert {case.seed for case in cases} == {0, 1}


def test_files_that_would_travel_under_one_name_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for folder, kind, name in (("a", "catalogue", "fig5"), ("b", "scales", "smoke")):
        Path(folder).mkdir()
        Path(folder, "x.yaml").write_text((STUDIES / kind / f"{name}.yaml").read_text())
    study = Path("a/x.yaml").read_text().replace("smoke:", "x:")
    Path("a/x.yaml").write_text(study)
    with pytest.raises(ValueError, match=r"^a/x\.yaml and b/x\.yaml are both x as the files that travel with a job"):
        study_commands.submit(parse_arguments(["submit", "a/x.yaml", "--scale", "b/x.yaml"]))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["submit", "table1"], "table1 is a study: add --scale with smoke, small, paper or a file of your own"),
        (["submit", "a.yaml", "b.yaml"], "afrl submit takes one YAML file of settings, or studies with --scale SCALE"),
        (["submit", "a.yaml", "--seeds", "2"], "--seeds is for studies, with --scale; with a YAML file write"),
        (["submit", "table9", "--scale", "smoke"], "there is no study 'table9'; write one of "),
    ],
)
def test_experiments_and_studies_are_not_mixed_up(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert capsys.readouterr().err.startswith(f"error: {message}")


@pytest.mark.parametrize("verb", VERBS)
def test_the_other_commands_need_one(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["jobs", verb, *([] if verb == "list" else ["some-id"])]) == 2
    assert capsys.readouterr().err == (
        "error: no cluster: add --address http://HOST:8265, or set RAY_API_SERVER_ADDRESS\n"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["submit", "none.yaml", "--address", "http://127.0.0.9:1"], "none.yaml: there is no such file"),
        (["submit", "x.yaml", "--address", "head"], "--address head: write http://HOST:8265"),
        (["submit", "x.yaml", "--address", "http://127.0.0.9:1", "--id", "a b"], "--id a b: write up to 100 letters"),
        (["submit", "x.yaml", "--address", "http://127.0.0.9:1"], "no cluster answers at http://127.0.0.9:1: "),
        (["jobs", "list", "--address", "http://127.0.0.9:1"], "no cluster answers at http://127.0.0.9:1: "),
        (["jobs", "status"], "the following arguments are required: ID"),
    ],
)
def test_mistakes_are_one_line(
    arguments: list[str], message: str, config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        status = main(arguments)
    except SystemExit as exit_info:
        status = int(exit_info.code or 0)
    error = capsys.readouterr().err
    assert (status, len(error.splitlines())) == (2, 1)
    assert error.startswith(f"error: {message}")
    assert config


def test_overrides_may_stand_anywhere() -> None:
    parsed = parse_arguments(["submit", "x.yaml", "--id", "mine", "seed=1", "--autoscaling", "name=y"])
    assert (parsed.id, parsed.autoscaling, parsed.overrides) == ("mine", True, ["seed=1", "name=y"])
