"""Against a real SQLite file."""

import logging
import math
import pickle
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import pytest

from afrl_ray.config import TrackingSettings
from afrl_ray.tracking import ExperimentTracker
from afrl_ray.tracking import tracker as tracker_module

mlflow_tracking = pytest.importorskip("mlflow.tracking")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Making a database takes seconds, so these tests share one, each with an output folder of its own."""
    return tmp_path_factory.mktemp("runs")


@pytest.fixture
def output(root: Path, request: pytest.FixtureRequest) -> Path:
    return root / request.node.name


def open_tracker(output: Path, **settings: Any) -> ExperimentTracker:
    return ExperimentTracker(TrackingSettings(**settings), output, output.name)


def stored_runs(output: Path) -> list[Any]:
    client = mlflow_tracking.MlflowClient(f"sqlite:///{output.parent}/mlflow.db")
    experiment = client.get_experiment_by_name("afrl")
    identity = (output / "tracking_id").read_text()
    return client.search_runs([experiment.experiment_id], f"tags.`afrl.key` LIKE '{identity}%'")


def history(output: Path, run_id: str | None, name: str) -> list[tuple[int, float]]:
    client = mlflow_tracking.MlflowClient(f"sqlite:///{output.parent}/mlflow.db")
    return [(metric.step, metric.value) for metric in client.get_metric_history(run_id, name)]


def status(output: Path) -> dict[str, str]:
    return {run.info.run_name: run.info.status for run in stored_runs(output)}


@pytest.mark.slow
def test_a_child_is_nested_and_has_its_settings(output: Path) -> None:
    tracker = open_tracker(output)
    parent = tracker.parent_run({"seed": 3, "net": {"sizes": [64]}})
    child = tracker.child_run("pretrain", parameters={"updates": 10})
    child.set_tags({"afrl.checkpoint": "/data/checkpoint"})
    runs = {run.info.run_name: run.data for run in stored_runs(output)}
    assert set(runs) == {output.name, "pretrain"}
    assert runs["pretrain"].tags["mlflow.parentRunId"] == parent.run_id
    assert runs["pretrain"].tags["afrl.checkpoint"] == "/data/checkpoint"
    assert runs["pretrain"].params == {"updates": "10"}
    assert runs[output.name].params == {"seed": "3", "net.sizes": "[64]"}


@pytest.mark.slow
def test_a_second_tracker_continues_the_runs(output: Path) -> None:
    for steps in ((5000, 10_000), (5000, 10_000, 15_000)):
        tracker = open_tracker(output)
        run = tracker.child_run("trial", parameters={"beta": 0.3})
        for step in steps:
            run.log_metrics({"score/normal": float(step), "curriculum/q": 0.5}, step)
    assert len(stored_runs(output)) == 2
    assert history(output, run.run_id, "score/normal") == [(5000, 5000.0), (10_000, 10_000.0), (15_000, 15_000.0)]


@pytest.mark.slow
def test_a_metric_that_appears_late_is_not_taken_for_logged(output: Path) -> None:
    open_tracker(output).child_run("trial").log_metrics({"a": 1.0}, 10)
    run = open_tracker(output).child_run("trial")
    run.log_metrics({"a": 2.0, "b": 3.0}, 10)
    assert history(output, run.run_id, "a") == [(10, 1.0)]
    assert history(output, run.run_id, "b") == [(10, 3.0)]


@pytest.mark.slow
def test_a_rolled_back_trial_logs_no_step_twice(output: Path) -> None:
    run = open_tracker(output).child_run("trial")
    for step in (1, 2, 3, 2, 3, 4):
        run.log_metrics({"a": step}, step)
    assert history(output, run.run_id, "a") == [(1, 1.0), (2, 2.0), (3, 3.0), (4, 4.0)]


@pytest.mark.slow
def test_values_that_are_not_finite_are_dropped(output: Path) -> None:
    run = open_tracker(output).child_run("trial")
    run.log_metrics({"a": math.nan, "b": math.inf, "c": 1.0, "d": None}, 1)
    (stored,) = [found for found in stored_runs(output) if found.info.run_id == run.run_id]
    assert stored.data.metrics == {"c": 1.0}


@pytest.mark.slow
def test_an_emptied_folder_begins_new_runs(output: Path) -> None:
    first = open_tracker(output).parent_run()
    first.flush()
    (output / "tracking_id").unlink()
    second = open_tracker(output).parent_run()
    second.flush()
    assert first.run_id != second.run_id


@pytest.mark.slow
def test_a_variant_has_runs_of_its_own_and_goes_on_with_them(output: Path) -> None:
    for variant, score in (("before", 80.0), ("after", 55.0), ("before", 81.0)):
        tracker = ExperimentTracker(TrackingSettings(), output, output.name, variant=variant)
        tracker.parent_run({"variant": variant})
        tracker.child_run("evaluation").log_metrics({"test/adversarial": score}, 0)
    parents = [run.data.params["variant"] for run in stored_runs(output) if run.data.params]
    scores = [run.data.metrics["test/adversarial"] for run in stored_runs(output) if run.data.metrics]
    assert (sorted(parents), sorted(scores)) == (["after", "before"], [55.0, 80.0])


@pytest.mark.slow
def test_the_end_is_recorded_and_undone_by_a_restore(output: Path) -> None:
    with open_tracker(output).parent_run():
        pass
    assert status(output) == {output.name: "FINISHED"}
    with open_tracker(output).parent_run() as run:
        run.child("trial").log_metrics({"a": 1}, 1)
        assert status(output) == {output.name: "RUNNING", "trial": "RUNNING"}
        run.child("trial").finish("KILLED")
        assert status(output) == {output.name: "RUNNING", "trial": "KILLED"}


@pytest.mark.slow
def test_a_late_entry_does_not_reopen_a_finished_run(output: Path) -> None:
    open_tracker(output).child_run("trial").finish()
    run = open_tracker(output).child_run("trial")
    run.log_metrics({"test/normal": 1.0}, 5)
    assert status(output)["trial"] == "FINISHED"
    assert history(output, run.run_id, "test/normal") == [(5, 1.0)]


@pytest.mark.slow
@pytest.mark.parametrize(("error", "expected"), [(RuntimeError, "FAILED"), (KeyboardInterrupt, "KILLED")])
def test_an_error_is_the_run_s_end(output: Path, error: type[BaseException], expected: str) -> None:
    def fail() -> None:
        with open_tracker(output).parent_run():
            raise error

    with pytest.raises(error):
        fail()
    assert status(output) == {output.name: expected}


@pytest.mark.slow
def test_files_and_folders_become_artifacts(output: Path, tmp_path: Path) -> None:
    (tmp_path / "table.md").write_text("a table")
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "curves.png").write_bytes(b"png")
    run = open_tracker(output).parent_run()
    run.log_artifact(tmp_path / "table.md")
    run.log_artifact(tmp_path / "figures", "figures")
    folder = output.parent / "mlartifacts" / str(run.run_id) / "artifacts"
    assert (folder / "table.md").read_text() == "a table"
    assert (folder / "figures" / "curves.png").read_bytes() == b"png"
    with pytest.raises(FileNotFoundError, match="no artifact"):
        run.log_artifact(tmp_path / "absent")


@pytest.mark.slow
def test_parameters_keep_their_first_value_and_long_ones_are_cut(output: Path) -> None:
    open_tracker(output).parent_run({"a": 1, "long": "x" * 10_000, **{f"many{i}": i for i in range(250)}})
    open_tracker(output).parent_run({"a": 2, "b": 3})
    (run,) = stored_runs(output)
    assert (run.data.params["a"], run.data.params["b"], run.data.params["many249"]) == ("1", "3", "249")
    assert len(run.data.params["long"]) == 6000


@pytest.mark.slow
def test_a_pickled_tracker_finds_its_runs_and_leaves_unsent_entries_behind(
    output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker = open_tracker(output)
    tracker.child_run("trial").log_metrics({"a": 1}, 1)
    monkeypatch.setattr(tracker_module, "_PARENTS", WeakValueDictionary())  # as in another process
    copy = pickle.loads(pickle.dumps(tracker))
    assert copy.child_run("trial") is not tracker.child_run("trial")
    copy.child_run("trial").log_metrics({"a": 2}, 1)
    copy.child_run("trial").log_metrics({"a": 2}, 2)
    assert copy.child_run("trial").run_id == tracker.child_run("trial").run_id
    assert history(output, copy.child_run("trial").run_id, "a") == [(1, 1.0), (2, 2.0)]


@pytest.mark.slow
def test_entries_of_an_outage_are_sent_afterwards(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = root / "locked_out"
    folder.write_text("a file where the database's folder should be")
    tracker = open_tracker(root / "outage", uri=f"sqlite:///{folder}/mlflow.db")
    run = tracker.child_run("trial", parameters={"beta": 0.3})
    for step in range(1, 2001):
        run.log_metrics({"a": step}, step)
    assert not tracker.flush()
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    folder.unlink()
    assert tracker.flush(force=True)
    client = mlflow_tracking.MlflowClient(tracker.uri)
    points = client.get_metric_history(run.run_id, "a")
    assert [point.step for point in points] == list(range(1, 2001))
    assert points[0].timestamp < points[-1].timestamp  # when it happened, not when it was sent
    assert client.get_run(run.run_id).data.params == {"beta": "0.3"}


@pytest.mark.slow
def test_what_a_dead_process_could_not_send_is_sent_by_the_next(root: Path, output: Path) -> None:
    folder = root / "locked out too"
    folder.write_text("a file where the database's folder should be")
    uri = f"sqlite:///{folder}/mlflow.db"
    dead = open_tracker(output, uri=uri)
    trial = dead.child_run("trial", name="a trial", parameters={"beta": 0.3})
    for step in (1, 2, 3):
        trial.log_metrics({"a": step}, step)
    trial.finish()
    dead.child_run("other").log_metrics({"a": 7}, 1)
    folder.unlink()

    tracker = open_tracker(output, uri=uri)
    tracker.child_run("other").log_metrics({"a": 7}, 1)  # repeated, since its checkpoint is older
    with tracker.parent_run():
        pass
    client = mlflow_tracking.MlflowClient(uri)
    runs = {run.info.run_name: run for run in client.search_runs(["1"])}
    assert {name: run.info.status for name, run in runs.items() if name != "other"} == {
        output.name: "FINISHED",
        "a trial": "FINISHED",
    }
    points = {name: client.get_metric_history(run.info.run_id, "a") for name, run in runs.items()}
    assert [point.step for point in points["a trial"]] == [1, 2, 3]
    assert [point.step for point in points["other"]] == [1]
    assert runs["a trial"].data.params == {"beta": "0.3"}
    assert list((output / "unsent").iterdir()) == []


@pytest.mark.slow
def test_a_server_that_is_down_is_not_waited_for(output: Path, caplog: pytest.LogCaptureFixture) -> None:
    tracker = open_tracker(output, uri="http://127.0.0.1:9")
    with tracker.parent_run({"a": 1}) as run:
        for step in range(100):
            run.log_metrics({f"m{number}": step for number in range(1000)}, step)
    assert run.run_id is None
    assert len(run._unsent.points) == 50_000  # bounded: the oldest went
    assert run._unsent.points[-1].step == 99
    assert [record.message.split(" ")[0] for record in caplog.records] == ["MLflow", "run"]


@pytest.mark.slow
def test_a_deleted_run_is_given_up(output: Path, caplog: pytest.LogCaptureFixture) -> None:
    tracker = open_tracker(output)
    run = tracker.child_run("trial")
    run.log_metrics({"a": 1}, 1)
    mlflow_tracking.MlflowClient(tracker.uri).delete_run(run.run_id)
    run.log_metrics({"a": 2}, 2)
    run.log_metrics({"a": 3}, 3)
    assert [record.message.split(" entries")[0] for record in caplog.records] == ["MLflow refuses"]
    assert tracker.flush()


def test_a_disabled_tracker_does_nothing(tmp_path: Path) -> None:
    tracker = ExperimentTracker(TrackingSettings(enabled=False), tmp_path / "output", "name")
    with tracker.parent_run({"a": 1}) as run:
        run.log_metrics({"a": 1}, 1)
        tracker.child_run("trial", parameters={"b": 2}).finish()
    assert run.run_id is None
    assert list(tmp_path.iterdir()) == []
