"""An MLflow in memory that can be away, and that refuses what it is told to."""

from collections import defaultdict
from types import SimpleNamespace
from typing import Any

import pytest

from afrl_ray.tracking.connection import Connection


class RefusalError(Exception):
    error_code = "INVALID_PARAMETER_VALUE"


class FakeMLflow:
    def __init__(self) -> None:
        self.is_away = False
        self.refused: set[str] = set()
        """Names of parameters, tags and metrics that it will not take."""
        self.runs: dict[str, Any] = {}
        self.points: dict[str, list[tuple[str, int, float]]] = defaultdict(list)
        self.calls: list[str] = []

    def answer_in(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Be what every connection opens from now on."""
        monkeypatch.setattr(Connection, "_open", lambda _self: ("1", self))

    def status(self) -> dict[str, str]:
        return {run.name: run.info.status for run in self.runs.values()}

    def steps(self, name: str, metric: str) -> list[int]:
        """Steps of every point that was logged, repetitions included."""
        (run_id,) = [run_id for run_id, run in self.runs.items() if run.name == name]
        return [step for key, step, _ in self.points[run_id] if key == metric]

    def _called(self, call: str) -> None:
        if self.is_away:
            raise ConnectionError("it is away")
        self.calls.append(call)

    def search_runs(self, _experiments: list[str], condition: str, max_results: int) -> list[Any]:
        self._called("search")
        key = condition.partition("'")[2].rstrip("'")
        return [run for run in self.runs.values() if run.key == key][:max_results]

    def create_run(self, _experiment: str, tags: dict[str, str], run_name: str) -> Any:
        self._called("create")
        info = SimpleNamespace(run_id=f"run{len(self.runs)}", status="RUNNING")
        data = SimpleNamespace(metrics={}, params={}, tags=dict(tags))
        self.runs[info.run_id] = SimpleNamespace(info=info, data=data, key=tags["afrl.key"], name=run_name)
        return self.runs[info.run_id]

    def log_batch(self, run_id: str, metrics: Any = (), params: Any = (), tags: Any = ()) -> None:
        self._called("log")
        if self.refused & {one.key for one in (*metrics, *params, *tags)}:
            raise RefusalError("no such thing")
        data = self.runs[run_id].data
        data.params |= {param.key: param.value for param in params}
        data.tags |= {tag.key: tag.value for tag in tags}
        data.metrics |= {metric.key: metric.value for metric in metrics}
        self.points[run_id] += [(metric.key, metric.step, metric.value) for metric in metrics]

    def get_metric_history(self, run_id: str, name: str) -> list[Any]:
        self._called("history")
        return [SimpleNamespace(step=step) for key, step, _ in self.points[run_id] if key == name]

    def update_run(self, run_id: str, status: str) -> None:
        self._called("update")
        self.runs[run_id].info.status = status

    def set_terminated(self, run_id: str, status: str) -> None:
        self.update_run(run_id, status)
