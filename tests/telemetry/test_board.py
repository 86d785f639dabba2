import json
import pickle
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from afrl_ray.telemetry.board import SUBMISSION_VARIABLE, Board, board, publish_for_cluster, report_file
from afrl_ray.telemetry.labels import current
from afrl_ray.telemetry.report import JobReport, StageReport


def test_a_stage_is_waiting_then_running_then_finished() -> None:
    own = Board()
    own.expect("pretrain", "attack")
    with own.stage("pretrain"):
        own.progress("pretrain", 250, 1000, "updates", "score 3.0")
        assert current()["stage"] == "pretrain"
        [pretrain, attack] = own.report().stages
        assert (pretrain.status, pretrain.done, pretrain.total, pretrain.note) == ("running", 250, 1000, "score 3.0")
        assert (attack.status, attack.started) == ("waiting", None)
    assert current()["stage"] == ""
    [pretrain, _] = own.report().stages
    assert pretrain.status == "finished"
    assert pretrain.started is not None
    assert pretrain.ended is not None
    assert pretrain.started <= pretrain.ended


def test_progress_belongs_to_the_innermost_stage() -> None:
    own = Board()
    own.progress("nothing is under way", 1, 2, "steps")
    with own.stage("pretrain"), own.stage("data"):
        own.progress("data", 5, 10, "transitions")
    stages = {stage.name: stage for stage in own.report().stages}
    assert stages.keys() == {"pretrain", "data"}
    assert (stages["data"].done, stages["pretrain"].done) == (5, 0)


def test_a_stage_that_raises_has_failed() -> None:
    own = Board()
    with pytest.raises(ValueError), own.stage("attack"):
        raise ValueError
    assert own.report().stages[0].status == "failed"


def test_a_stage_that_is_interrupted_has_stopped_and_so_has_all_that_ran() -> None:
    own = Board()
    own.merge(JobReport(stages=(StageReport(name="data", status="running", started=1.0),)))
    own.trial("a_0", name="adaptive", status="running")
    own.trial("a_1", name="fixed", status="finished")
    with pytest.raises(KeyboardInterrupt), own.stage("finetune"):
        raise KeyboardInterrupt
    report = own.report()
    assert {stage.name: stage.status for stage in report.stages} == {"data": "stopped", "finetune": "stopped"}
    assert [trial.status for trial in report.trials] == ["stopped", "finished"]


def test_what_runs_elsewhere_ends_with_the_process_that_ran_it() -> None:
    own = Board()
    published: list[JobReport] = []
    own.queue("trials", 1)
    own.merge(JobReport(stages=(StageReport(name="data", status="running", started=1.0),)))
    with own.stage("pretrain"):
        own.publish_to(published.append)
        own.end_what_runs_elsewhere("failed")
        assert [stage.status for stage in published[-1].stages] == ["failed", "running"]
        assert [stage.status for stage in own.report().stages] == ["failed", "running"]
    assert own.report().queues == {}


def test_trials_keep_what_is_not_changed_and_count_their_failures() -> None:
    own = Board()
    own.trial("a_0", name="adaptive", status="running", wanted_steps=2000)
    own.trial("a_0", env_steps=100, q=0.25, score={"normal": 90.0, "mean": 80.0})
    own.failure("trial", "it died", "a_0")
    own.failure("tracking", "MLflow is away")
    own.queue("trials", 3)
    report = own.report()
    [trial] = report.trials
    assert (trial.name, trial.status, trial.env_steps, trial.q, trial.failures) == ("adaptive", "running", 100, 0.25, 1)
    assert [(failure.kind, failure.trial) for failure in report.failures] == [("trial", "a_0"), ("tracking", "")]
    assert report.queues == {"trials": 3}


def test_only_the_latest_failures_are_kept() -> None:
    own = Board()
    for number in range(60):
        own.failure("bank", f"number {number}")
    failures = own.report().failures
    assert (len(failures), failures[0].message, failures[-1].message) == (50, "number 10", "number 59")


def test_many_changes_are_published_together_and_the_last_one_is_never_lost() -> None:
    own, published = Board(), list[JobReport]()
    own.publish_to(published.append)
    for step in range(100):
        own.trial("a_0", env_steps=step)
    assert published == []
    wait(lambda: bool(published))
    assert [report.trials[0].env_steps for report in published] == [99]


def test_what_another_process_reports_of_its_stages_is_taken_over() -> None:
    driver, task = Board(), Board()
    driver.expect("data", "pretrain")
    with task.stage("pretrain"):
        task.progress("pretrain", 10, 20, "updates")
        driver.merge(task.report())
    assert [(stage.name, stage.done) for stage in driver.report().stages] == [("data", 0), ("pretrain", 10)]


def test_a_publisher_that_fails_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    def fail(_report: JobReport) -> None:
        raise OSError("disk full")

    own = Board()
    own.publish_to(fail)
    with own.stage("data"):
        pass
    assert "could not be published" in caplog.text


def test_a_job_s_driver_writes_its_report_among_the_logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SUBMISSION_VARIABLE, raising=False)
    publish_for_cluster(tmp_path)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setenv(SUBMISSION_VARIABLE, "tiny.2")
    board.clear()
    try:
        publish_for_cluster(tmp_path)
        with board.stage("data"):
            pass
    finally:
        board.publish_to(None)
    [file] = tmp_path.iterdir()
    assert file.name == report_file("tiny.2") == "afrl-report-tiny.2.json"
    assert json.loads(file.read_text())["stages"][0]["status"] == "finished"
    assert JobReport.model_validate_json(file.read_text()).stages[0].name == "data"
    board.clear()


def test_a_board_stays_in_its_process() -> None:
    """Remote functions are sent with the objects they name."""
    assert pickle.loads(pickle.dumps(board)) is board


def test_scores_that_are_no_numbers_survive_the_file() -> None:
    own = Board()
    own.trial("a_0", score={"mean": float("nan")}, steps_per_second=float("nan"))
    [trial] = JobReport.model_validate_json(own.report().model_dump_json()).trials
    assert (trial.score, trial.steps_per_second) == ({"mean": None}, None)


def wait(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)
