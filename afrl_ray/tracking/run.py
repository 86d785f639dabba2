"""One MLflow run, found again by its key, written to without ever waiting for MLflow or failing because of it."""

import itertools
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from afrl_ray.tracking.connection import Connection, Refused, logger
from afrl_ray.tracking.names import MAX_TAG, entity_name, finite, flatten, text

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

RunStatus = Literal["RUNNING", "FINISHED", "FAILED", "KILLED"]

KEY_TAG = "afrl.key"
_MAX_METRICS = 1000
_MAX_PARAMETERS = 100
_MAX_UNSENT = 50_000
"""Metric values kept for one run while MLflow is away: some hours of training; then the oldest go."""


@dataclass(frozen=True)
class _Point:
    name: str
    value: float
    timestamp: int  # milliseconds; kept when sent again, so that MLflow knows a repetition by it
    step: int


@dataclass
class _Unsent:
    parameters: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    points: deque[_Point] = field(default_factory=lambda: deque(maxlen=_MAX_UNSENT))
    artifacts: deque[tuple[str, str | None]] = field(default_factory=deque)
    status: RunStatus | None = None
    is_new: bool = True
    """The run itself must still be found or created."""

    def any(self) -> bool:
        return self.is_new or bool(self.parameters or self.tags or self.points or self.artifacts or self.status)


class TrackedRun:
    """Write-only view of a run. Every method keeps its entry and tries to send all that is kept, at most once.

    A step not after the last one of its metric is skipped: an experiment that was restored to an earlier checkpoint
    logs no step twice. Pickling keeps the identity only; unsent entries stay with the process that made them.
    """

    def __init__(self, connection: Connection, key: str, name: str, parent: "TrackedRun | None" = None) -> None:
        self.key = key
        self.name = name
        self._connection = connection
        self._parent = parent
        self._children: dict[str, TrackedRun] = {}
        self._forget()

    def _forget(self) -> None:
        self.run_id: str | None = None
        self._unsent = _Unsent()
        self._last_steps: dict[str, int] = {}
        self._stored_metrics: frozenset[str] = frozenset()
        self._stored_parameters: frozenset[str] = frozenset()
        self._refused = False

    def __getstate__(self) -> dict[str, Any]:
        kept = ("key", "name", "_connection", "_parent", "_children")
        return {name: self.__dict__[name] for name in kept}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget()

    def child(self, key: str, name: str | None = None) -> "TrackedRun":
        """The run below this one called `key`, the same object each time."""
        if key not in self._children:
            self._children[key] = TrackedRun(self._connection, f"{self.key}/{key}", name or key, self)
        return self._children[key]

    def log_parameters(self, parameters: Mapping[str, Any]) -> None:
        """Nested settings as dotted parameters. MLflow never changes a parameter: the first value stays."""
        self._unsent.parameters.update(flatten(parameters))
        self.flush()

    def set_tags(self, tags: Mapping[str, Any]) -> None:
        self._unsent.tags.update({entity_name(name): text(value, MAX_TAG) for name, value in tags.items()})
        self.flush()

    def log_metrics(self, metrics: Mapping[str, Any], step: int) -> None:
        """Metrics at environment step (or update) `step`; what is not a finite number is left out."""
        now = time.time_ns() // 1_000_000
        self._unsent.points.extend(_Point(name, value, now, int(step)) for name, value in finite(metrics).items())
        self.flush()

    def log_artifact(self, path: Path, folder: str | None = None) -> None:
        """Copy a file, or everything in a folder, into the run's artifacts, under `folder`.

        Raises:
            FileNotFoundError: there is nothing at `path`.
        """
        if not path.exists():
            raise FileNotFoundError(f"no artifact at {path}")
        self._unsent.artifacts.append((str(path.absolute()), folder))
        self.flush()

    def begin(self) -> None:
        """Show the run as running, also where it was found with an end."""
        self._unsent.status = "RUNNING"
        self.flush()

    def finish(self, status: RunStatus = "FINISHED") -> None:
        """End the run, after one last try to send what it and its children keep. Later entries do not reopen it."""
        self._unsent.status = status
        if not self.flush(force=True) and self._connection.enabled:
            logger.warning("run %s ended, but MLflow lacks its last entries", self.name)

    def flush(self, *, force: bool = False) -> bool:
        """Send what is kept, the children's too; True when nothing is left. `force` tries even during an outage."""
        sent = self._flush_own(force)
        for child in self._children.values():
            sent = child.flush(force=force and sent) and sent  # one failure is enough to wait for
        return sent

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
            self._unsent = _Unsent()
            return True
        if not self._unsent.any():
            return True
        try:
            return self._connection.attempt(self._send, force=force)
        except Refused as error:
            if not self._refused:
                logger.warning("MLflow refuses entries of run %s; they are dropped (%s)", self.name, str(error)[:300])
            self._refused = True
            self._unsent = _Unsent(is_new=self.run_id is None)
            return True

    def _send(self, client: "MlflowClient", experiment_id: str) -> None:
        from mlflow.entities import Metric, Param, RunTag

        run_id = self._attach(client, experiment_id)
        unsent = self._unsent
        unsent.parameters = {
            name: value for name, value in unsent.parameters.items() if name not in self._stored_parameters
        }
        while unsent.parameters or unsent.tags:
            names = list(unsent.parameters)[:_MAX_PARAMETERS]
            tags = list(unsent.tags)[:_MAX_PARAMETERS]
            client.log_batch(
                run_id,
                params=[Param(name, unsent.parameters[name]) for name in names],
                tags=[RunTag(name, unsent.tags[name]) for name in tags],
            )
            self._stored_parameters |= set(names)
            for name in names:
                del unsent.parameters[name]
            for name in tags:
                del unsent.tags[name]
        while unsent.points:
            points = list(itertools.islice(unsent.points, _MAX_METRICS))
            fresh = self._not_yet_logged(client, run_id, points)
            if fresh:
                client.log_batch(run_id, [Metric(p.name, p.value, p.timestamp, p.step) for p in fresh])
            self._last_steps.update({point.name: point.step for point in fresh})
            for _ in points:
                unsent.points.popleft()
        while unsent.artifacts:
            path, folder = unsent.artifacts[0]
            send = client.log_artifacts if Path(path).is_dir() else client.log_artifact
            send(run_id, path, folder)
            unsent.artifacts.popleft()
        if unsent.status == "RUNNING":
            client.update_run(run_id, "RUNNING")
        elif unsent.status:
            client.set_terminated(run_id, unsent.status)
        unsent.status = None

    def _not_yet_logged(self, client: "MlflowClient", run_id: str, points: list[_Point]) -> list[_Point]:
        """Those of `points` whose step comes after the last one of their metric."""
        fresh: list[_Point] = []
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
        self._unsent.is_new = False
        self.run_id = run.info.run_id
        return self.run_id
