"""One MLflow run, found again by its key, written to without ever waiting for MLflow or failing because of it."""

import itertools
import time
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from afrl_ray.storage import StorageError
from afrl_ray.tracking.connection import Connection, Refused, is_refusal, logger
from afrl_ray.tracking.names import MAX_TAG, entity_name, finite, flatten, text
from afrl_ray.tracking.unsent import Journal, Point, RunStatus, Unsent, waiting_runs

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

KEY_TAG = "afrl.key"
_MAX_METRICS = 1000
_MAX_PARAMETERS = 100
_PATIENCE = 120.0
_PAUSE = 5.0
"""Seconds that the end of an experiment waits for a server that answered before, and between two attempts."""


class TrackedRun:
    """Write-only view of a run. Every method keeps its entry and tries to send all that is kept, at most once.

    What could not be sent is kept below `unsent`, a folder or URI, too: a process that was killed meanwhile, or that
    ended before MLflow came back, leaves it to the next one that opens the run. A step not after the last one of its
    metric is skipped: an experiment that was restored to an earlier checkpoint logs no step twice. Pickling keeps the
    identity only; unsent entries stay with the process that made them, and where it kept them.
    """

    def __init__(
        self, connection: Connection, key: str, name: str, unsent: str, parent: "TrackedRun | None" = None
    ) -> None:
        self.key = key
        self.name = name
        self._unsent_at = unsent
        self._connection = connection
        self._parent = parent
        self._children: dict[str, TrackedRun] = {}
        self._forget()

    def _forget(self) -> None:
        self.run_id: str | None = None
        self._journal = Journal(self._unsent_at, self.key, self.name)
        self._is_used = False
        """Whether this process has added anything; all else is in the journal, and may be another process's to send."""
        self._inherit()
        self._new = Unsent()
        """What came since the last flush, neither sent nor in the journal."""
        self._last_steps: dict[str, int] = {}
        self._stored_metrics: frozenset[str] = frozenset()
        self._stored_parameters: frozenset[str] = frozenset()
        self._not_kept = Unsent()
        """What is in `_unsent` and not in the journal."""
        self._refused = False
        self._warned = False

    def _inherit(self) -> None:
        """Take what the journal has now. That the run has begun is said by whoever goes on with it."""
        self._unsent = self._journal.read() if self._connection.enabled else Unsent()
        if self._unsent.status == "RUNNING":
            self._unsent.status = None

    def __getstate__(self) -> dict[str, Any]:
        kept = ("key", "name", "_unsent_at", "_connection", "_parent", "_children")
        return {name: self.__dict__[name] for name in kept}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget()

    def child(self, key: str, name: str | None = None) -> "TrackedRun":
        """The run below this one called `key`, the same object each time."""
        if key not in self._children:
            self._children[key] = TrackedRun(self._connection, f"{self.key}/{key}", name or key, self._unsent_at, self)
        return self._children[key]

    def adopt(self) -> None:
        """Take over what other processes left unsent for runs below this one."""
        for key, name in waiting_runs(self._unsent_at).items():
            if key.startswith(f"{self.key}/"):
                child = self.child(key.removeprefix(f"{self.key}/"), name)
                if not child._is_used:
                    child._inherit()

    def log_parameters(self, parameters: Mapping[str, Any]) -> None:
        """Nested settings as dotted parameters. MLflow never changes a parameter: the first value stays."""
        self._add(Unsent(parameters=flatten(parameters)))

    def set_tags(self, tags: Mapping[str, Any]) -> None:
        self._add(Unsent(tags={entity_name(name): text(value, MAX_TAG) for name, value in tags.items()}))

    def log_metrics(self, metrics: Mapping[str, Any], step: int) -> None:
        """Metrics at environment step (or update) `step`; what is not a finite number is left out."""
        now = time.time_ns() // 1_000_000
        points = (Point(name, value, now, int(step)) for name, value in finite(metrics).items())
        self._add(Unsent(points=deque(points)))

    def log_artifact(self, path: Path, folder: str | None = None) -> None:
        """Copy a file, or everything in a folder, into the run's artifacts, under `folder`.

        Raises:
            FileNotFoundError: there is nothing at `path`.
        """
        if not path.exists():
            raise FileNotFoundError(f"no artifact at {path}")
        self._add(Unsent(artifacts=deque([(str(path.absolute()), folder)])))

    def begin(self) -> None:
        """Show the run as running, also where it was found with an end."""
        self._add(Unsent(status="RUNNING"))

    def _add(self, entries: Unsent, *, force: bool = False) -> bool:
        self._new.add(entries)
        self._is_used = True
        return self.flush(force=force)

    def finish(self, status: RunStatus = "FINISHED") -> None:
        """End the run, after one last try to send what it and its children keep. Later entries do not reopen it.

        At the end of a whole experiment a server that has answered before gets two minutes to come back.
        """
        is_whole_experiment = self._parent is None
        if is_whole_experiment:
            self.adopt()
        sent = self._add(Unsent(status=status), force=True)
        waits = is_whole_experiment and status != "KILLED" and self._connection.has_answered
        deadline = time.monotonic() + (_PATIENCE if waits else 0.0)
        while not sent and time.monotonic() < deadline:
            time.sleep(_PAUSE)
            sent = self.flush(force=True)
        if not sent:
            logger.warning(
                "run %s ended, but MLflow lacks its last entries; they are in %s, and the same command sends them",
                self.name,
                self._unsent_at,
            )

    def flush(self, *, force: bool = False) -> bool:
        """Send what is kept, the children's too; True when nothing is left. `force` tries even during an outage."""
        sent = self._flush_own(force)
        for child in self._children.values():
            sent = child.flush(force=force and sent) and sent  # one failure is enough to wait for
        return sent

    @property
    def uri(self) -> str:
        """Where it is sent to."""
        return self._connection.uri

    @property
    def unsent(self) -> int:
        """Metric values that wait to be sent, the children's too."""
        return len(self._unsent.points) + sum(child.unsent for child in self._children.values())

    def __enter__(self) -> "TrackedRun":
        self.begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.finish("FINISHED")
        else:
            self.finish("FAILED" if issubclass(kind, Exception) else "KILLED")

    def _flush_own(self, force: bool) -> bool:
        if not self._connection.enabled:
            self._new = Unsent()
            return True
        came, self._new = self._new, Unsent()
        self._unsent.add(came)
        self._not_kept.add(came)
        if self.run_id is not None and not self._unsent.any() and not self._journal.waits:
            return True
        try:
            sent = self._connection.attempt(self._send, force=force)
        except Refused as error:  # the run itself
            self._say_refused(error)
            self._unsent = Unsent()
            sent = True
        self._keep(sent)
        return sent

    def _say_refused(self, error: Exception) -> None:
        if not self._refused:
            logger.warning("MLflow refuses entries of run %s; they are dropped (%s)", self.name, str(error)[:300])
        self._refused = True

    def _unless_refused(self, send: Callable[[], Any]) -> None:
        """Send one batch; one that MLflow will never take does not keep the others from it."""
        try:
            send()
        except Exception as error:
            if not is_refusal(error):
                raise
            self._say_refused(error)

    def _keep(self, sent: bool) -> None:
        """Bring the journal up to date; where that fails, the entries are in memory still."""
        if sent:
            self._not_kept = Unsent()
        try:
            if sent:
                self._journal.clear()
            elif self._not_kept.any():
                self._journal.append(self._not_kept)
                self._not_kept = Unsent()
        except (OSError, StorageError) as error:
            if not self._warned:
                logger.warning("cannot keep what MLflow has not taken of run %s on disk: %s", self.name, error)
            self._warned = True

    def _send(self, client: "MlflowClient", experiment_id: str) -> None:
        from mlflow.entities import Param, RunTag

        run_id = self._attach(client, experiment_id)
        if not self._is_used:
            self._inherit()  # what it has taken over may have been sent by the process that goes on with the run
        unsent = self._unsent
        unsent.parameters = {
            name: value for name, value in unsent.parameters.items() if name not in self._stored_parameters
        }
        while unsent.parameters or unsent.tags:
            params = [Param(*pair) for pair in itertools.islice(unsent.parameters.items(), _MAX_PARAMETERS)]
            tags = [RunTag(*pair) for pair in itertools.islice(unsent.tags.items(), _MAX_PARAMETERS)]
            self._unless_refused(partial(client.log_batch, run_id, params=params, tags=tags))
            self._stored_parameters |= {param.key for param in params}
            for param in params:
                del unsent.parameters[param.key]
            for tag in tags:
                del unsent.tags[tag.key]
        while unsent.points:
            points = list(itertools.islice(unsent.points, _MAX_METRICS))
            self._unless_refused(partial(self._send_points, client, run_id, points))
            for _ in points:
                unsent.points.popleft()
        while unsent.artifacts:
            path, folder = unsent.artifacts[0]
            send = client.log_artifacts if Path(path).is_dir() else client.log_artifact
            if Path(path).exists():  # it may have been replaced since an earlier process kept it for MLflow
                self._unless_refused(partial(send, run_id, path, folder))
            unsent.artifacts.popleft()
        if unsent.status == "RUNNING":
            self._unless_refused(partial(client.update_run, run_id, "RUNNING"))
        elif unsent.status:
            self._unless_refused(partial(client.set_terminated, run_id, unsent.status))
        unsent.status = None

    def _send_points(self, client: "MlflowClient", run_id: str, points: list[Point]) -> None:
        from mlflow.entities import Metric

        fresh = self._not_yet_logged(client, run_id, points)
        if fresh:
            client.log_batch(run_id, [Metric(p.name, p.value, p.timestamp, p.step) for p in fresh])
        self._last_steps.update({point.name: point.step for point in fresh})

    def _not_yet_logged(self, client: "MlflowClient", run_id: str, points: list[Point]) -> list[Point]:
        """Those of `points` whose step comes after the last one of their metric."""
        fresh: list[Point] = []
        last: dict[str, int] = {}
        for point in points:
            if point.name not in last:
                if point.name not in self._last_steps and point.name in self._stored_metrics:
                    history = client.get_metric_history(run_id, point.name)
                    self._last_steps[point.name] = max(metric.step for metric in history)
                last[point.name] = self._last_steps.get(point.name, -1)
            if point.step > last[point.name]:
                last[point.name] = point.step
                fresh.append(point)
        return fresh

    def _attach(self, client: "MlflowClient", experiment_id: str) -> str:
        """The id of the run with this key, continued or created; its parent comes first."""
        if self.run_id is not None:
            return self.run_id
        tags = {KEY_TAG: self.key}
        if self._parent is not None:
            tags["mlflow.parentRunId"] = self._parent._attach(client, experiment_id)
        found = client.search_runs([experiment_id], f"tags.`{KEY_TAG}` = '{self.key}'", max_results=1)
        if found:
            run: Run = found[0]
        else:
            run = client.create_run(experiment_id, tags=tags, run_name=self.name)
        self._stored_metrics = frozenset(run.data.metrics)
        self._stored_parameters = frozenset(run.data.params)
        self.run_id = run.info.run_id
        return self.run_id
