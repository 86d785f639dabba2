"""What MLflow has of a run in the end, where the driver or the trial was killed between a checkpoint and its result."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from afrl_ray.config import ExperimentSettings, TrackingSettings, with_settings
from afrl_ray.pipeline.runs.reporting import RunsInMLflow, finish_reporting
from afrl_ray.pipeline.runs.run import TrainingRun
from afrl_ray.storage import has_flag, set_flag
from afrl_ray.tracking import ExperimentTracker
from fake_mlflow import FakeMLflow

FINETUNE = {"finetune.steps": 300, "finetune.evaluation_interval": 100, "finetune.checkpoint_interval": 100}
MEANS = [70.0, 80.0, 75.0, 85.0]


@pytest.fixture
def run(tmp_path: Path) -> TrainingRun:
    base = with_settings(ExperimentSettings(output=tmp_path), FINETUNE)
    return TrainingRun("mine", base, store=tmp_path / "stages", policy_interval=200)


@pytest.fixture
def mlflow(monkeypatch: pytest.MonkeyPatch) -> FakeMLflow:
    fake = FakeMLflow()
    fake.answer_in(monkeypatch)
    return fake


def rows(count: int, shift: int = 0) -> list[dict[str, Any]]:
    """The first evaluations; from the second on each came `shift` steps too late."""
    return [
        {"env_steps": 100 * index + shift * (index > 0), "normal": mean, "mean": mean, "q": 0.5, "average": None}
        for index, mean in enumerate(MEANS[:count])
    ]


def checkpoint(run: TrainingRun, curve: list[dict[str, Any]]) -> None:
    run.checkpoint.mkdir(parents=True, exist_ok=True)
    (run.checkpoint / "training.json").write_text(json.dumps({"step": curve[-1]["env_steps"], "curve": curve}))


def result(row: dict[str, Any]) -> dict[str, Any]:
    return {"env_steps": row["env_steps"], "score": row, "q": row["q"]}


def killed_after_two_results(run: TrainingRun, tmp_path: Path, on_disk: int) -> tuple[RunsInMLflow, Any]:
    """The callbacks of the next driver, and its trial."""
    trial = SimpleNamespace(trial_id="a", config=run.as_config())

    def callbacks() -> RunsInMLflow:
        tracker = ExperimentTracker(TrackingSettings(), tmp_path, "studies")
        return RunsInMLflow(tracker, lambda _: "mine", lambda config: str(config["run"]["key"]))

    first = callbacks()
    first.on_trial_start(0, [trial], trial)
    for row in rows(2):
        first.on_trial_result(0, [trial], trial, result(row))
    checkpoint(run, rows(on_disk))
    set_flag(run.followed)
    return callbacks(), trial


def test_a_run_that_goes_on_after_a_row_that_was_never_logged(
    run: TrainingRun, mlflow: FakeMLflow, tmp_path: Path
) -> None:
    callbacks, trial = killed_after_two_results(run, tmp_path, on_disk=3)
    callbacks.on_trial_start(0, [trial], trial)
    callbacks.on_trial_result(0, [trial], trial, result(rows(4)[-1]))
    callbacks.on_trial_complete(0, [trial], trial)
    assert mlflow.steps("mine", "score/mean") == [0, 100, 200, 300]
    assert mlflow.steps("mine", "curriculum/q") == [0, 100, 200, 300]
    assert mlflow.status()["mine"] == "FINISHED"


def test_a_run_whose_last_row_was_never_logged_is_finished(
    run: TrainingRun, mlflow: FakeMLflow, tmp_path: Path
) -> None:
    killed_after_two_results(run, tmp_path, on_disk=4)
    assert mlflow.status()["mine"] == "RUNNING"
    for _ in range(2):
        finish_reporting(run, ExperimentTracker(TrackingSettings(), tmp_path, "studies"))
        assert mlflow.steps("mine", "score/mean") == [0, 100, 200, 300]
        assert mlflow.status()["mine"] == "FINISHED"
    points = [(step, value) for name, step, value in mlflow.points["run1"] if name == "score/best"]
    assert points[-2:] == [(200, 80.0), (300, 85.0)]
    assert not has_flag(run.followed)


def test_an_unfinished_run_is_left_to_its_trial(run: TrainingRun, mlflow: FakeMLflow, tmp_path: Path) -> None:
    killed_after_two_results(run, tmp_path, on_disk=3)
    finish_reporting(run, ExperimentTracker(TrackingSettings(), tmp_path, "studies"))
    assert mlflow.steps("mine", "score/mean") == [0, 100]
    assert has_flag(run.followed)


def test_the_curve_has_every_evaluation_that_was_due_however_late_it_came(run: TrainingRun) -> None:
    checkpoint(run, rows(4, shift=33))
    assert [row["env_steps"] for row in run.curve()] == [0, 133, 233, 333]
    shorter = replace(run, base=with_settings(run.base, {"finetune.steps": 200}))
    checkpoint(shorter, rows(4, shift=33))
    assert [row["env_steps"] for row in shorter.curve()] == [0, 133, 233]
