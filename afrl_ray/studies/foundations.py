"""Data, pretrained networks and attack banks, made once for all studies that need them."""

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import ray
from ray.exceptions import RayActorError

from afrl_ray.pipeline.attack import attack
from afrl_ray.pipeline.cluster import beside_the_driver, cluster_address, connect
from afrl_ray.pipeline.data import make_data, refuse_other_data
from afrl_ray.pipeline.experiment import Experiment, pinned
from afrl_ray.pipeline.foundation import Foundation
from afrl_ray.pipeline.pretrain import pretrain
from afrl_ray.pipeline.progress import Reporter, progress, send_progress_to
from afrl_ray.pipeline.remote import hear_interrupts, interrupt
from afrl_ray.scheduling import actor_options, bundle, pretrain_bundle
from afrl_ray.telemetry import bind, configure_logs, job_of

_POLL_SECONDS = 2.0


def refuse_replaced_data(foundations: Iterable[Foundation]) -> None:
    """
    Raises:
        ValueError: finished data were made from another file than is there now.
    """
    for foundation in {one.data.key: one for one in foundations}.values():
        refuse_other_data(foundation.data, foundation.settings.data)


def make_pretrained(foundations: Iterable[Foundation]) -> None:
    """Make the data and pretrained networks that are not there yet, those of all robots and seeds side by side.

    Raises:
        FileNotFoundError, ValueError: there are no such data.
    """
    missing = [
        foundation
        for foundation in {one.pretrain.key: one for one in foundations}.values()
        if not foundation.pretrain.finished()
    ]
    _make_all_data([one for one in {one.data.key: one for one in missing}.values() if not one.data.finished()])
    _pretrain_all(missing)
    for foundation in missing:
        foundation.refresh()


def make_banks(foundations: Iterable[Foundation]) -> None:
    """Make the attack banks that are not there yet, on all cores one after the other."""
    for foundation in {one.key: one for one in foundations}.values():
        if not foundation.attack.finished():
            attack(foundation.experiment, foundation.pretrain)


def _make_all_data(foundations: Sequence[Foundation]) -> None:
    if _alone(foundations):
        make_data(foundations[0].experiment)
    elif foundations:
        resources = actor_options(bundle(foundations[0].settings.runtime.resources.evaluation))
        total = sum(foundation.settings.data.transitions or 0 for foundation in foundations)
        keys = [foundation.data.key for foundation in foundations]
        with progress(f"data, {len(foundations)} sets", total, "transitions") as report:
            _side_by_side(_make_data.options(**resources), foundations, keys, report)


def _pretrain_all(foundations: Sequence[Foundation]) -> None:
    if _alone(foundations):
        pretrain(foundations[0].experiment)
    elif foundations:
        resources = actor_options(pretrain_bundle(foundations[0].settings.runtime))
        total = sum(foundation.settings.pretrain.updates for foundation in foundations)
        keys = [foundation.pretrain.key for foundation in foundations]
        with progress(f"pretrain, {len(foundations)} trainings", total, "updates") as report:
            _side_by_side(_pretrain.options(**resources), foundations, keys, report)


def _alone(foundations: Sequence[Foundation]) -> bool:
    """Whether there is one, which this process can make itself."""
    return len(foundations) == 1 and not cluster_address(foundations[0].settings.runtime)


def _side_by_side(task: Any, foundations: Sequence[Foundation], keys: Sequence[str], report: Reporter) -> None:
    """Run the Ray task for each; its own progress goes by the key. One that fails ends them all."""
    connect(foundations[0].settings.runtime)
    board = _ProgressBoard.options(**beside_the_driver()).remote()
    waiting = [task.remote(_pinned(one), board, key) for one, key in zip(foundations, keys, strict=True)]
    done = 0
    try:
        while waiting:
            finished, waiting = ray.wait(waiting, timeout=_POLL_SECONDS)
            ray.get(finished)
            done = _done(board, done)
            report.update(done, f"{len(waiting)} unfinished")
    finally:
        interrupt(waiting)
        ray.kill(board)


def _pinned(foundation: Foundation) -> Experiment:
    """The experiment as other processes are to have it."""
    return Experiment(pinned(foundation.settings), foundation.store)


def _done(board: Any, known: int) -> int:
    """What all tasks have done together; what is known so far where the board's process has died."""
    try:
        return int(ray.get(board.done.remote()))
    except RayActorError:
        return known


@ray.remote(num_cpus=0)
class _ProgressBoard:
    """How far each task is."""

    def __init__(self) -> None:
        self._completed: dict[str, int] = {}

    def update(self, key: str, completed: int) -> None:
        self._completed[key] = completed

    def done(self) -> int:
        return sum(self._completed.values())


@ray.remote(max_retries=2)
def _make_data(experiment: Experiment, board: Any, key: str) -> None:
    with _telling(board, key, experiment, "data"):
        make_data(experiment)


@ray.remote(max_retries=2)
def _pretrain(experiment: Experiment, board: Any, key: str) -> None:
    with _telling(board, key, experiment, "pretrain"):
        pretrain(experiment)


@contextmanager
def _telling(board: Any, key: str, experiment: Experiment, stage: str) -> Iterator[None]:
    """In a task: what it has done goes to the board of progress, and it ends when it is interrupted."""
    told = 0.0

    def tell(completed: int, total: int) -> None:
        nonlocal told
        if completed >= total or time.monotonic() - told > _POLL_SECONDS:
            told = time.monotonic()
            with suppress(RayActorError):
                board.update.remote(key, completed)

    hear_interrupts()
    configure_logs(experiment.settings.runtime.log_format)
    bind(job=job_of(experiment.settings.name), stage=stage)
    send_progress_to(tell)
    try:
        yield
    finally:
        send_progress_to(None)
