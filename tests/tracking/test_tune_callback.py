import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from afrl_ray.config import TrackingSettings
from afrl_ray.tracking import ExperimentTracker
from afrl_ray.tracking.tune_callback import MLflowTrialCallback

PROGRAM = Path(__file__).with_name("tune_program.py")


def make_trial(**attributes: Any) -> Any:
    defaults = {"trial_id": "abc_00000", "config": {}, "evaluated_params": {}, "checkpoint": None}
    return SimpleNamespace(**{**defaults, **attributes}, is_finished=lambda: True)


def test_nothing_that_fails_here_ends_the_sweep(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    callback = MLflowTrialCallback(ExperimentTracker(TrackingSettings(enabled=False), tmp_path, "sweep"))
    callback.setup()
    trial = make_trial(config={"experiment": "not a mapping"})
    callback.on_trial_start(0, [trial], trial)
    callback.on_trial_result(0, [trial], trial, {"no": "env_steps"})
    callback.on_trial_error(0, [trial], trial)
    callback.on_experiment_end([trial])
    assert len(caplog.records) == 1


def test_it_has_no_state_for_tune_to_save(tmp_path: Path) -> None:
    assert (
        MLflowTrialCallback(ExperimentTracker(TrackingSettings(enabled=False), tmp_path, "sweep")).get_state() is None
    )


def histories(root: Path) -> dict[str, tuple[Any, list[int]]]:
    """Every run by name, with the steps of its score."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{root}/mlflow.db")
    experiment = client.get_experiment_by_name("afrl")
    return {
        run.info.run_name: (run, [point.step for point in client.get_metric_history(run.info.run_id, "score/normal")])
        for run in client.search_runs([experiment.experiment_id])
    }


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_killed_and_restored_sweep_has_one_run_per_trial_and_every_step_once(tmp_path: Path) -> None:
    output = tmp_path / "sweep"
    first = subprocess.Popen([sys.executable, str(PROGRAM), str(output)], start_new_session=True)
    try:
        deadline = time.monotonic() + 400
        while not enough_logged(tmp_path, rows=6):
            assert time.monotonic() < deadline
            assert first.poll() is None
            time.sleep(0.2)
    finally:
        os.killpg(first.pid, signal.SIGKILL)
        first.wait()
    before = histories(tmp_path)
    assert len(before) == 3
    assert all(run.info.status == "RUNNING" for run, _ in before.values())

    subprocess.run([sys.executable, str(PROGRAM), str(output), "restore"], check=True, timeout=400)
    after = histories(tmp_path)
    assert {name: run.info.run_id for name, (run, _) in after.items()} == {
        name: run.info.run_id for name, (run, _) in before.items()
    }
    parent = after.pop("sweep")[0]
    for name, (run, steps) in after.items():
        assert steps == list(range(1000, 11_000, 1000))
        assert run.info.status == "FINISHED"
        assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert run.data.params["curriculum.beta"] == run.data.tags["varied.curriculum.beta"]
        assert f"beta={run.data.params['curriculum.beta']}" in name
        assert run.data.tags["afrl.checkpoint"].startswith(str(output))
        assert run.data.metrics["score/normal"] == 90.0
        assert "loss/critic" not in run.data.metrics


def enough_logged(root: Path, rows: int) -> bool:
    import sqlite3

    try:
        with sqlite3.connect(f"file:{root}/mlflow.db?mode=ro", uri=True) as database:
            return bool(
                database.execute("select count(*) from metrics where key = 'score/normal'").fetchone()[0] >= rows
            )
    except sqlite3.OperationalError:  # not there yet
        return False
