from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from afrl_ray.config import TrackingSettings
from afrl_ray.tracking import ExperimentTracker
from afrl_ray.tracking.tune_callback import MLflowTrialCallback


def make_callback(folder: Path) -> MLflowTrialCallback:
    tracker = ExperimentTracker(TrackingSettings(enabled=False), folder, "sweep")
    return MLflowTrialCallback(tracker, lambda config: config["run"]["name"], lambda config: config["run"]["key"])


def make_trial(**attributes: Any) -> Any:
    defaults = {"trial_id": "abc_00000", "config": {}, "evaluated_params": {}, "checkpoint": None}
    return SimpleNamespace(**{**defaults, **attributes}, is_finished=lambda: True)


def test_nothing_that_fails_here_ends_the_sweep(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    callback = make_callback(tmp_path)
    callback.setup()
    trial = make_trial(config={"experiment": "not a mapping"})
    callback.on_trial_start(0, [trial], trial)
    callback.on_trial_result(0, [trial], trial, {"no": "env_steps"})
    callback.on_trial_error(0, [trial], trial)
    callback.on_experiment_end([trial])
    assert len(caplog.records) == 1


def test_it_has_no_state_for_tune_to_save(tmp_path: Path) -> None:
    assert make_callback(tmp_path).get_state() is None
