"""MLflow away, drivers killed and resumed, entries refused: what it has in the end. MLflow itself is a stand-in."""

import pickle
from pathlib import Path

import pytest

from afrl_ray.config import TrackingSettings
from afrl_ray.tracking import ExperimentTracker
from afrl_ray.tracking import tracker as tracker_module
from afrl_ray.tracking.connection import Connection
from afrl_ray.tracking.unsent import waiting_runs
from fake_mlflow import FakeMLflow


@pytest.fixture
def mlflow(monkeypatch: pytest.MonkeyPatch) -> FakeMLflow:
    fake = FakeMLflow()
    fake.answer_in(monkeypatch)
    return fake


def open_tracker(output: Path) -> ExperimentTracker:
    return ExperimentTracker(TrackingSettings(uri="http://mlflow:5000"), output, "sweep")


def die() -> None:
    """What this process knows is lost with it."""
    tracker_module._PARENTS.clear()


def test_a_resumed_sweep_ends_as_finished_though_the_outage_began_before_its_trials(
    mlflow: FakeMLflow, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    mlflow.is_away = True
    killed = open_tracker(tmp_path)
    killed.parent_run({"seed": 3})
    saved_by_tune = pickle.dumps(killed)
    for name in ("one", "two"):
        trial = killed.child_run(name)
        trial.begin()
        trial.log_metrics({"score": 1.0}, 100)
    die()

    tracker = open_tracker(tmp_path)  # of the resumed driver
    with tracker.parent_run({"seed": 3}):
        callbacks = pickle.loads(saved_by_tune)
        mlflow.is_away = False
        for name in ("one", "two"):
            trial = callbacks.child_run(name)
            trial.begin()
            trial.log_metrics({"score": 1.0}, 100)  # from its last checkpoint once more
            trial.log_metrics({"score": 2.0}, 200)
            trial.finish()
            callbacks.flush(force=True)
    assert mlflow.status() == {"sweep": "FINISHED", "one": "FINISHED", "two": "FINISHED"}
    assert mlflow.steps("one", "score") == mlflow.steps("two", "score") == [100, 200]
    assert waiting_runs(str(tmp_path / "unsent")) == {}
    assert [r.message for r in caplog.records if "on disk" in r.message or "lacks" in r.message] == []


def test_what_another_process_goes_on_with_is_not_sent_again_by_the_driver(mlflow: FakeMLflow, tmp_path: Path) -> None:
    mlflow.is_away = True
    killed = open_tracker(tmp_path).child_run("pretrain")
    killed.begin()
    killed.log_metrics({"score": 1.0}, 100)
    die()

    driver = open_tracker(tmp_path)
    with driver.parent_run():  # takes over what is in the journal, and cannot send it
        die()
        worker = open_tracker(tmp_path).child_run("pretrain")
        mlflow.is_away = False
        worker.begin()
        worker.log_metrics({"score": 2.0}, 200)
        worker.finish()
        driver.flush(force=True)
    assert mlflow.status()["pretrain"] == "FINISHED"
    assert mlflow.steps("pretrain", "score") == [100, 200]


def test_what_another_process_has_kept_in_the_meantime_is_sent_at_the_end(mlflow: FakeMLflow, tmp_path: Path) -> None:
    driver = open_tracker(tmp_path)
    with driver.parent_run():
        die()
        worker = open_tracker(tmp_path).child_run("pretrain")
        mlflow.is_away = True
        worker.log_metrics({"score": 1.0}, 100)
        worker.finish()
        mlflow.is_away = False
    assert mlflow.status() == {"sweep": "FINISHED", "pretrain": "FINISHED"}
    assert mlflow.steps("pretrain", "score") == [100]


def test_a_restored_tracker_writes_where_this_process_does(tmp_path: Path) -> None:
    restored = pickle.dumps(ExperimentTracker(TrackingSettings(uri="http://old:5000"), tmp_path, "sweep"))
    die()
    alone = pickle.loads(restored)
    assert alone.uri == "http://old:5000"
    die()
    tracker = ExperimentTracker(TrackingSettings(uri="http://new:5000"), tmp_path, "sweep")
    again = pickle.loads(restored)
    assert again.uri == "http://new:5000"
    assert again.child_run("trial") is tracker.child_run("trial")


def test_one_refused_batch_costs_no_other_entry(
    mlflow: FakeMLflow, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    mlflow.refused = {"bad"}
    mlflow.is_away = True
    run = open_tracker(tmp_path).child_run("trial", parameters={"bad": 1})
    run.log_metrics({"score": 1.0}, 100)
    run.finish()
    mlflow.is_away = False
    assert run.flush(force=True)
    assert mlflow.steps("trial", "score") == [100]
    assert mlflow.status()["trial"] == "FINISHED"
    assert [record.message.split(" entries")[0] for record in caplog.records if "refuses" in record.message] == [
        "MLflow refuses"
    ]
    assert waiting_runs(str(tmp_path / "unsent")) == {}


def test_a_storage_that_is_not_mounted_is_no_refusal(
    mlflow: FakeMLflow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def open_nothing(_connection: Connection) -> None:
        raise FileNotFoundError("/mnt/mlflow.db")

    with monkeypatch.context() as patch:
        patch.setattr(Connection, "_open", open_nothing)
        run = open_tracker(tmp_path).child_run("trial")
        run.log_metrics({"score": 1.0}, 100)
    assert run.flush(force=True)
    assert mlflow.steps("trial", "score") == [100]
    assert not [record for record in caplog.records if "refuses" in record.message]


def test_an_identity_that_was_never_written_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "tracking_id").touch()  # of a process that was killed between opening and writing
    tracker = open_tracker(tmp_path)
    identity = (tmp_path / "tracking_id").read_text()
    assert len(identity) == 32
    assert tracker.child_run("trial").key == f"{identity}/trial"
    assert open_tracker(tmp_path).child_run("trial").key == f"{identity}/trial"
    assert [path.name for path in tmp_path.iterdir()] == ["tracking_id"]
