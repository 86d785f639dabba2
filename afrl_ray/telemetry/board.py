"""Where a driver writes down how far its job is, and the file that the cluster shows to whoever asks."""

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from afrl_ray.telemetry.labels import bound
from afrl_ray.telemetry.metrics import FAILURES, STAGE_SHARE, forget_gauges
from afrl_ray.telemetry.report import FailureReport, JobReport, StageReport, TrialReport

SUBMISSION_VARIABLE = "AFRL_SUBMISSION"
"""Environment variable with the id of the submission that a driver is."""

Publisher = Callable[[JobReport], None]

_MOST_FAILURES = 50
_INTERVAL = 1.0
"""Seconds between two publications at least."""
logger = logging.getLogger(__name__)


def report_file(submission_id: str) -> str:
    """The file's name among the logs of the driver's node."""
    return f"afrl-report-{submission_id}.json"


class Board:
    """A report under way. Whatever changes is published within a second, and not more often."""

    def __init__(self) -> None:
        self._stages: dict[str, StageReport] = {}
        self._trials: dict[str, TrialReport] = {}
        self._queues: dict[str, int] = {}
        self._failures: deque[FailureReport] = deque(maxlen=_MOST_FAILURES)
        self._publisher: Publisher | None = None
        self._timer: threading.Timer | None = None
        self._lock = threading.RLock()
        self._running: list[str] = []

    def __reduce__(self) -> Any:
        """A remote function that uses this process's board uses that of the process it runs in."""
        return own_board, ()

    def report(self) -> JobReport:
        with self._lock:
            return JobReport(
                updated=time.time(),
                stages=tuple(self._stages.values()),
                trials=tuple(self._trials.values()),
                queues=self._queues,
                failures=tuple(self._failures),
            )

    def publish_to(self, publisher: Publisher | None) -> None:
        """Hand the report to `publisher` whenever it has changed; None for no longer."""
        self._publisher = publisher
        self._changed()

    def clear(self) -> None:
        """Forget everything: another experiment begins in this process."""
        with self._lock:
            for part in (self._stages, self._trials, self._queues, self._failures):
                part.clear()
        forget_gauges()

    def merge(self, report: JobReport) -> None:
        """Take over what another process of the job has reported of its stages."""
        with self._lock:
            self._stages.update({stage.name: stage for stage in report.stages})
        self._changed()

    def expect(self, *stages: str) -> None:
        """The stages that will come."""
        for name in stages:
            self._change_stage(name)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """The stage `name` is under way while the block runs."""
        self._change_stage(name, status="running", started=time.time(), ended=None)
        self._running.append(name)
        status = "failed"
        try:
            with bound(stage=name):
                yield
            status = "finished"
        except KeyboardInterrupt:
            status = "stopped"
            self.end_what_runs_elsewhere("stopped")
            raise
        finally:
            self._running.remove(name)
            self._change_stage(name, status=status, ended=time.time(), doing="")
            self.flush()

    def end_what_runs_elsewhere(self, status: Literal["stopped", "failed"]) -> None:
        """Trials, and stages of other processes of the job: they will not be heard of any more.

        Published at once, since this process may be ending too.
        """
        with self._lock:
            for trial_id, trial in self._trials.items():
                if trial.status == "running":
                    self._trials[trial_id] = trial.model_copy(update={"status": status})
            for name, stage in self._stages.items():
                if stage.status == "running" and name not in self._running:
                    self._stages[name] = stage.model_copy(update={"status": status, "ended": time.time()})
            self._queues.clear()
        self.flush()

    def progress(self, doing: str, done: int, total: int, unit: str, note: str = "") -> None:
        """How far the innermost stage is with what it is doing."""
        if not self._running:
            return
        name = self._running[-1]
        self._change_stage(name, doing=doing, done=done, total=total, unit=unit, note=note)
        if total:
            STAGE_SHARE.set(done / total, stage=name)

    def trial(self, trial_id: str, **changes: Any) -> None:
        """Set what is known of a trial; `name` the first time."""
        with self._lock:
            known = self._trials.get(trial_id) or TrialReport(id=trial_id, name=changes.get("name", trial_id))
            self._trials[trial_id] = known.model_copy(update=changes)
        self._changed()

    def queue(self, name: str, length: int) -> None:
        if self._queues.get(name) != length:
            with self._lock:
                self._queues[name] = length
            self._changed()

    def failure(self, kind: str, message: str, trial: str = "") -> None:
        """Count a failure, here and for Prometheus; the caller logs it."""
        labels = {"kind": kind, "trial": trial} if trial else {"kind": kind}
        FAILURES.add(1.0, **labels)
        self.note_failure(kind, message, trial)

    def note_failure(self, kind: str, message: str, trial: str = "") -> None:
        """A failure that another process has counted for Prometheus."""
        with self._lock:
            self._failures.append(FailureReport(time=time.time(), kind=kind, message=message[:500], trial=trial))
            if trial in self._trials:
                known = self._trials[trial]
                self._trials[trial] = known.model_copy(update={"failures": known.failures + 1})
        self._changed()

    def flush(self) -> None:
        """Publish now."""
        with self._lock:
            timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        publisher = self._publisher
        if publisher is None:
            return
        try:
            publisher(self.report())
        except Exception:  # nobody's work should end because nobody can see it
            logger.warning("the job's report could not be published", exc_info=True)

    def _change_stage(self, name: str, **changes: Any) -> None:
        with self._lock:
            known = self._stages.get(name) or StageReport(name=name)
            self._stages[name] = known.model_copy(update=changes)
        self._changed()

    def _changed(self) -> None:
        with self._lock:
            if self._publisher is None or self._timer is not None:
                return
            timer = self._timer = threading.Timer(_INTERVAL, self.flush)
            timer.daemon = True
        timer.start()


board = Board()
"""This process's own."""


def own_board() -> Board:
    return board


def publish_for_cluster(logs: Path) -> None:
    """Where this process is the driver of a job, keep its report in `logs`, the folder of the node's logs."""
    submission_id = os.environ.get(SUBMISSION_VARIABLE)
    if not submission_id:
        return
    file = logs / report_file(submission_id)

    def write(report: JobReport) -> None:
        temporary = file.with_name(f".{file.name}")
        temporary.write_text(report.model_dump_json(), encoding="utf-8")
        temporary.replace(file)

    board.publish_to(write)
