"""afrl reproduce, with the studies replaced by a recorder: nothing is trained."""

import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from afrl_ray.cli import main
from afrl_ray.studies.cost import Speed, Work


@pytest.fixture
def plans(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Any]:
    """The plans of all commands; their reports say only whose they are."""
    recorded: list[Any] = []

    def reproduce(plans: list[Any]) -> list[Any]:
        recorded.extend(plans)
        report = tmp_path / "report.md"
        report.write_text("# Report")
        return [SimpleNamespace(plan=plan, location=str(tmp_path), report=report) for plan in plans]

    module = ModuleType("afrl_ray.studies.reproduce")
    module.reproduce = reproduce  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return recorded


def test_studies_are_planned_as_the_command_says(plans: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    arguments = "table2 fig5 --scale small --robot halfcheetah ant --seeds 1 --output here finetune.num_envs=2"
    assert main(["reproduce", *arguments.split(), "data.transitions=50"]) == 0
    table2, fig5 = plans
    assert (table2.name, fig5.name) == ("table2", "fig5")
    assert (table2.scale_name, table2.robots, table2.seeds) == ("small", ("halfcheetah", "ant"), 1)
    assert table2.output == Path("here").absolute()
    assert table2.overrides == {"finetune.num_envs": 2, "data.transitions": 50}
    assert capsys.readouterr().out == "# Report\n# Report\n"


def test_the_default_folder_and_json(plans: list[Any], capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["reproduce", "runtime.trials_at_once=1", "fig5", "--scale", "smoke", "--json"]) == 0
    assert plans[0].output == Path("runs/studies").absolute()
    assert plans[0].robots == ()
    assert json.loads(capsys.readouterr().out) == {"fig5": str(tmp_path)}


def test_below_a_uri(plans: list[Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AFRL_SCRATCH", str(tmp_path))
    assert main(["reproduce", "fig5", "--scale", "smoke", "--output", "s3://bucket/mine/"]) == 0
    assert (plans[0].location, plans[0].output) == ("s3://bucket/mine", tmp_path / "s3/bucket/mine")
    monkeypatch.setenv("AFRL_STORAGE", "s3://bucket")
    assert main(["reproduce", "fig5", "--scale", "smoke"]) == 0
    assert plans[1].location == "s3://bucket/runs/studies"


def test_an_empty_folder_is_refused(plans: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reproduce", "fig5", "--scale", "smoke", "--output", ""]) == 2
    assert "--output is empty; write a folder or URI, or leave it out for runs/studies" in capsys.readouterr().err
    assert plans == []


def test_all_studies(plans: list[Any]) -> None:
    assert main(["reproduce", "all", "--scale", "smoke"]) == 0
    assert [plan.name for plan in plans][:4] == ["table1", "table2", "table3", "table4"]
    every = len(plans)
    assert main(["reproduce", "table1", "all", "--scale", "smoke"]) == 0
    assert len(plans) == 2 * every


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("table1", "say how large: add --scale smoke, small or paper"),
        ("table9 --scale smoke", "there is no study 'table9'"),
        ("table1 --scale huge", "there is no scale 'huge'"),
        ("table1 --scale smoke --seeds 0", "--seeds is 0; write 1 or more"),
        ("table1 --scale smoke --robot horse", "'horse' is no robot; write one of hopper"),
        ("table1 --scale smoke --robot hoper", "walker2d, ant; did you mean hopper?"),
        ("list mine.yaml", "mine.yaml"),
        ("table1 --scale smoke finetune.stepz=1", "finetune.stepz is not a setting; did you mean finetune.steps?"),
        ("seed=1 --scale smoke", "name a study, or list"),
        ("table1 --scale smoke seed=1", "override seed would change nothing in study table1; each run has its own; "),
        ("fig9 --scale small finetune.offline_ratio=0.3", "the grid of study fig9 sets finetune.offline_ratio"),
        ("table1 --scale small perturbation.condition=random", "arm fine-tuned (normal) of study table1 sets"),
        ("attackers --scale smoke attack.optimizer=CMA", "write optimizers in a study file of your own"),
    ],
)
def test_mistakes_are_one_line(
    arguments: str, message: str, plans: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["reproduce", *arguments.split()]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1
    assert not plans


def test_a_study_without_the_packages_scales_is_listed_with_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = tmp_path / "own.yaml"
    study.write_text("{title: Own, arms: {tuned: {}}, results: [{type: scores}], scales: {mine: {steps: 200}}}")
    assert main(["reproduce", "list", str(study)]) == 2
    message = "none of these studies has a scale smoke or small or paper; write --scale with one that they have"
    assert capsys.readouterr().err == f"error: {message}\n"


@pytest.mark.parametrize("studies", [["a/x.yaml", "b/x.yaml"], ["fig5", "a/fig5.yaml"]])
def test_studies_whose_results_would_share_a_folder_are_refused(
    studies: list[str], plans: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["reproduce", *studies, "--scale", "smoke"]) == 2
    name = Path(studies[1]).stem
    assert capsys.readouterr().err == (
        f"error: {studies[0]} and {studies[1]} are both {name} as the folders of their results; rename one of them\n"
    )
    assert not plans


def test_the_list_tells_what_each_study_costs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    module = ModuleType("afrl_ray.studies.speed")

    def measure(works: list[Work]) -> dict[str, Speed]:
        updates = {work.algorithm: 100.0 for work in works if work.algorithm is not None}
        return {work.robot: Speed(env_steps=10_000.0, updates=updates, pgd_steps=1000.0) for work in works}

    module.measure_speeds = measure  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    assert main(["reproduce", "list", "--scale", "smoke", "--json"]) == 0
    rows = {row["study"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["fig5"]["runs"] == 3
    assert rows["fig5"]["training_steps"] == 1200
    assert rows["fig5"]["robots"] == ["hopper"]
    shared = rows["all of them"]
    assert rows["table1"]["runs"] < shared["runs"] < sum(row["runs"] for row in rows.values()) - shared["runs"]
    assert rows["fig5"]["hours"] >= 0

    assert main(["reproduce", "list", "--scale", "smoke"]) == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines()[0].split()[:4] == ["scale", "study", "robots", "seeds"]
    assert any(line.startswith("smoke  fig5") for line in printed.out.splitlines())
    assert "hopper: 10,000 environment steps/s, 1,000 steps of PGD/s; updates/s: " in printed.err
    assert "td3 (hidden_sizes [16, 16], batch_size 32) 100" in printed.err
    assert "measured just now" in printed.err

    capsys.readouterr()
    study = tmp_path / "mine.yaml"
    study.write_text("title: Mine\narms: {a: {}}\nresults: [{type: curves}]\nscales: {smoke: {steps: 200}}\n")
    assert main(["reproduce", "list", "table1", str(study), "--json"]) == 0
    listed = [(row["scale"], row["study"]) for row in json.loads(capsys.readouterr().out)]
    assert ("smoke", str(study)) in listed
    assert ("small", "table1") in listed
    assert ("small", str(study)) not in listed
    assert main(["reproduce", "list", str(study), "--scale", "small"]) == 2
    assert f"study {study} has no scale small; write one of smoke" in capsys.readouterr().err
