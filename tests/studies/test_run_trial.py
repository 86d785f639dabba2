"""Which checkpoints and policies a run keeps; its training is a stand-in."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from afrl_ray.config import ExperimentSettings, with_settings
from afrl_ray.pipeline.trial import FinetuneTrial
from afrl_ray.studies.run_trial import RunTrial
from afrl_ray.studies.training_run import TrainingRun

STEPS = [0, 100, 250, 350, 420, 500, 610]
"""Of each evaluation, due every 100; env runners were lost before the third."""


@pytest.mark.parametrize("steps", [STEPS, list(range(0, 601, 100))])
def test_what_is_due_is_kept_though_evaluations_come_late(
    steps: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    intervals = {"finetune.steps": 600, "finetune.evaluation_interval": 100, "finetune.checkpoint_interval": 200}
    settings = with_settings(ExperimentSettings(output=tmp_path), intervals)
    saved: list[int] = []
    kept: list[str] = []
    curve: list[dict[str, Any]] = []

    def evaluate(_trial: FinetuneTrial) -> dict[str, Any]:
        curve.append({"env_steps": steps[len(curve)]})
        done = curve[-1]["env_steps"] >= 600
        return {**curve[-1], "best_score": 1.0, "best_env_steps": 0, "done": done}

    trial = object.__new__(RunTrial)
    trial._settings = settings
    trial._run = TrainingRun(settings, tmp_path / "stages", policy_interval=300)
    trial._run.stage.begin()
    best = SimpleNamespace(policy="best", step=0)
    algorithm = SimpleNamespace(evaluation_policy=lambda: "final")
    trial._training = SimpleNamespace(curve=curve, best=best, algorithm=algorithm)
    monkeypatch.setattr(FinetuneTrial, "step", evaluate)
    monkeypatch.setattr(RunTrial, "_save", lambda _trial: saved.append(len(curve) - 1))
    monkeypatch.setattr(
        "afrl_ray.studies.run_trial.save_policy_file", lambda _policy, path, _origin: kept.append(path.name)
    )
    for _ in steps:
        trial.step()
    assert saved == [0, 2, 4, 6]
    assert kept == ["300.safetensors", "300.best.safetensors", "600.safetensors", "600.best.safetensors"]
    manifest = trial._run.stage.finished()
    assert manifest is not None
    assert manifest["outputs"]["steps"] == steps[-1]
