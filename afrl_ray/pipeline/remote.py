"""Pretraining as a Ray task: a driver that computes nothing can stand on a small head node."""

import io
import signal
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import ray
from ray.exceptions import RayActorError
from ray.util.queue import Queue
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from afrl_ray.config import ExperimentSettings
from afrl_ray.pipeline import progress
from afrl_ray.pipeline.artifacts import Stage
from afrl_ray.pipeline.cluster import beside_the_driver, quiet_ray
from afrl_ray.pipeline.data import data_stage
from afrl_ray.pipeline.experiment import Experiment
from afrl_ray.pipeline.pretrain import load_pretrained, pretrain, pretrain_stage
from afrl_ray.pipeline.warm_up import warm_node
from afrl_ray.scheduling import actor_options, pretrain_bundle
from afrl_ray.telemetry import bind, configure_logs, event, job_of
from afrl_ray.telemetry.board import board
from afrl_ray.telemetry.report import JobReport

_MOST_ATTEMPTS = 3
_LOOK_INTERVAL = 0.5
"""Seconds between two looks at what the task has said."""
_PATIENCE = 10.0
"""Seconds that an interrupted task gets to end by itself."""


class _Begun:
    """What the task says first, each time that Ray starts it."""


def pretrain_remotely(experiment: Experiment) -> Stage:
    """`pretrain` on a node that has what `runtime.resources.pretrain` asks for, whose words and report appear here.

    When that node dies, another goes on from the last checkpoint.
    """
    if pretrain_stage(experiment, data_stage(experiment)).finished():
        return pretrain(experiment)
    words = Queue(actor_options=beside_the_driver())
    options = actor_options(pretrain_bundle(experiment.settings.runtime))
    ready = warm_node()
    if ready is not None:
        options["scheduling_strategy"] = NodeAffinitySchedulingStrategy(ready, soft=True)
    task = _pretrain.options(max_retries=_MOST_ATTEMPTS, **options).remote(experiment.settings, words)
    try:
        _follow(task, words)
    except BaseException as error:
        board.end_what_runs_elsewhere("stopped" if isinstance(error, KeyboardInterrupt) else "failed")
        interrupt([task])
        raise
    finally:
        words.shutdown(force=True)
    return load_pretrained(experiment)


def interrupt(tasks: Sequence[Any]) -> None:
    """End the tasks as Ctrl-C would, and give them the time to say in MLflow that they have ended."""
    for task in tasks:
        ray.cancel(task, force=False)
    if tasks:
        ray.wait(list(tasks), num_returns=len(tasks), timeout=_PATIENCE)


def hear_interrupts() -> None:
    """Ray's cancel is a Ctrl-C, which the processes of nodes started in a shell's background ignore."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _follow(task: Any, words: Queue) -> None:
    ended: list[Any] = []
    starts = 0
    while not ended:
        ended, _ = ray.wait([task], timeout=_LOOK_INTERVAL)
        for said in _heard(words):
            if isinstance(said, _Begun):
                starts += 1
                if starts > 1:
                    board.failure("pretrain", "the process of pretraining died and was started again")
                    event("process of pretraining died", goes_on=True)
            elif isinstance(said, JobReport):
                board.merge(said)
            else:
                progress.console.file.write(said)
        progress.console.file.flush()
    ray.get(task)


def _heard(words: Queue) -> list[Any]:
    """What has been said since the last time; nothing any more where the queue's process has died."""
    try:
        return list(words.get_nowait_batch(words.qsize()))
    except RayActorError:
        return []


def _say(words: Queue, what: Any) -> None:
    """Into the queue; where its process has died, nobody hears it, and the work goes on."""
    with suppress(RayActorError):
        words.put(what)


class _Relay(io.TextIOBase):
    """A stream whose other end is the driver."""

    def __init__(self, words: Queue) -> None:
        self._words = words

    def write(self, text: str) -> int:
        _say(self._words, text)
        return len(text)


@ray.remote  # type: ignore[untyped-decorator]
def _pretrain(settings: ExperimentSettings, words: Queue) -> None:
    hear_interrupts()
    _say(words, _Begun())
    relay = _Relay(words)
    progress.console.file = relay  # type: ignore[assignment]
    configure_logs(settings.runtime.log_format, relay)  # type: ignore[arg-type]
    quiet_ray(relay)  # type: ignore[arg-type]
    bind(job=job_of(settings.name))
    board.clear()
    board.publish_to(partial(_say, words))
    event("process of pretraining is ready")
    pretrain(Experiment(settings))
    board.publish_to(None)
