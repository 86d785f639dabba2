"""Ray tasks over all free cores of a cluster, which give way to trials that wait for theirs."""

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ray
from ray.util import placement_group_table

from afrl_ray.scheduling import Resources, actor_options, room
from afrl_ray.telemetry.board import board
from afrl_ray.telemetry.metrics import EVALUATION_TASKS

_LOOK_INTERVAL = 1.0
"""Seconds between two looks at who waits."""

_GAVE_WAY = "gave way"


def fan_out(
    function: Callable[..., Any], shares: Sequence[tuple[Any, ...]], resources: Resources, at_once: int
) -> list[Any]:
    """`function(*share)` for each of `shares`, in their order, `at_once` tasks at a time that reserve `resources` each.

    While a trial, of this experiment or another, waits for its resources, only one task at a time goes on: the others
    end their share and leave their cores. A task that died with its node is run again by Ray. An interrupt or a failed
    task cancels the rest.
    """
    task = _run.options(max_retries=5, **actor_options(resources))
    waiting = deque(range(len(shares)))
    running: dict[Any, int] = {}
    results: list[Any] = [None] * len(shares)
    queue = TrialQueue()
    try:
        while waiting or running:
            allowed = 1 if queue.is_waiting() else at_once
            while waiting and len(running) < allowed:
                index = waiting.popleft()
                running[task.remote(function, bool(running), *shares[index])] = index
            _report(len(waiting), len(running))
            for reference in ray.wait(list(running), timeout=_LOOK_INTERVAL)[0]:
                index = running.pop(reference)
                results[index] = ray.get(reference)
                if isinstance(results[index], str) and results[index] == _GAVE_WAY:
                    waiting.append(index)
    except BaseException:
        for reference in running:
            ray.cancel(reference, force=False)
        raise
    finally:
        _report(0, 0)
    return results


def cluster_room(resources: Resources) -> int:
    """How many tasks that reserve `resources` the nodes have room for, at least one."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return max(1, int(sum(room(resources, node) for node in nodes if resources)))


def _report(waiting: int, running: int) -> None:
    EVALUATION_TASKS.set(waiting, status="waiting")
    EVALUATION_TASKS.set(running, status="running")
    board.queue("evaluation tasks", waiting)


class TrialQueue:
    """Whether placement groups, which are what trials reserve, wait for their resources; asked once a second."""

    def __init__(self) -> None:
        self._looked_at = -_LOOK_INTERVAL
        self._waiting = False

    def is_waiting(self) -> bool:
        if time.monotonic() - self._looked_at >= _LOOK_INTERVAL:
            self._waiting = _some_wait(placement_group_table())
            self._looked_at = time.monotonic()
        return self._waiting


def _some_wait(table: Mapping[str, Mapping[str, Any]]) -> bool:
    return any(group["state"] in ("PENDING", "RESCHEDULING") for group in table.values())


@ray.remote  # type: ignore[untyped-decorator]
def _run(function: Callable[..., Any], gives_way: bool, *arguments: Any) -> Any:
    """A task that Ray held back for long may get its core just when a trial wants it."""
    if gives_way and TrialQueue().is_waiting():
        return _GAVE_WAY
    return function(*arguments)
