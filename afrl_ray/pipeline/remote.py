"""Pretraining as a Ray task: a driver that computes nothing can stand on a small head node."""

import io
from typing import Any

import ray
from ray.util.queue import Queue

from afrl_ray.config import ExperimentSettings
from afrl_ray.datasets import Transitions
from afrl_ray.pipeline import progress
from afrl_ray.pipeline.artifacts import Stage
from afrl_ray.pipeline.cluster import quiet_ray
from afrl_ray.pipeline.data import data_stage
from afrl_ray.pipeline.experiment import Experiment
from afrl_ray.pipeline.pretrain import pretrain, pretrain_stage
from afrl_ray.scheduling import actor_options, pretrain_bundle

_MOST_ATTEMPTS = 3
_LOOK_INTERVAL = 0.5
"""Seconds between two looks at what the task has said."""


def pretrain_remotely(experiment: Experiment) -> tuple[Stage, Transitions]:
    """`pretrain` on a node that has what `runtime.resources.pretrain` asks for, whose words appear here.

    When that node dies, another goes on from the last checkpoint.
    """
    if not pretrain_stage(experiment, data_stage(experiment)).finished():
        words = Queue(actor_options={"num_cpus": 0})
        options = actor_options(pretrain_bundle(experiment.settings.runtime))
        task = _pretrain.options(max_retries=_MOST_ATTEMPTS, **options).remote(experiment.settings, words)
        try:
            _follow(task, words)
        except BaseException:
            ray.cancel(task, force=False)
            raise
        finally:
            words.shutdown(force=True)
    return pretrain(experiment)


def _follow(task: Any, words: Queue) -> None:
    ended: list[Any] = []
    while not ended:
        ended, _ = ray.wait([task], timeout=_LOOK_INTERVAL)
        for text in words.get_nowait_batch(words.qsize()):
            progress.console.file.write(text)
        progress.console.file.flush()
    ray.get(task)


class _Relay(io.TextIOBase):
    """A stream whose other end is the driver."""

    def __init__(self, words: Queue) -> None:
        self._words = words

    def write(self, text: str) -> int:
        self._words.put(text)
        return len(text)


@ray.remote  # type: ignore[untyped-decorator]
def _pretrain(settings: ExperimentSettings, words: Queue) -> None:
    quiet_ray()
    progress.console.file = _Relay(words)  # type: ignore[assignment]
    pretrain(Experiment(settings))
