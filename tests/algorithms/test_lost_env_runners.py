"""What a round samples while remote env runners are lost; they stand in this process."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from afrl_ray.algorithms.off_policy import OffPolicyAlgorithm
from afrl_ray.algorithms.replay import Fragment

FRAGMENT, ENVS = 5, 2


class Runner:
    def __init__(self, worker_index: int) -> None:
        self.worker_index = worker_index

    def sample(self, num_timesteps: int | None, random_actions: bool) -> list[Fragment]:
        assert random_actions
        return [Fragment(np.zeros((num_timesteps or FRAGMENT * ENVS, 1), np.float32))]

    def get_metrics(self) -> int:
        return self.worker_index


class Group:
    """Three env runners, of which some do not answer from a call on."""

    def __init__(self, *lost: set[int]) -> None:
        self.lost = list(lost)
        """Who is lost in the first call, in the second, and so on."""

    def num_remote_env_runners(self) -> int:
        return 3

    def foreach_env_runner(
        self, call: Callable[[Any], Any], *, local_env_runner: bool, remote_worker_ids: list[int] | None, **_: Any
    ) -> list[Any]:
        assert not local_env_runner
        lost = self.lost.pop(0) if self.lost else set()
        return [call(Runner(index)) for index in remote_worker_ids or (1, 2, 3) if index not in lost]


@pytest.mark.parametrize(
    ("lost", "steps", "who"),
    [
        ([], [10, 10, 10], [1, 2, 3]),
        ([{2}], [10, 10, 10], [1, 3, 1]),
        ([{1, 3}], [10, 20], [2, 2]),
        ([{2}, {1}], [10, 10], [1, 3]),  # the one that was to stand in is lost, too
        ([{1, 2, 3}], [], []),
    ],
)
def test_a_round_has_as_many_steps_as_ever(lost: list[set[int]], steps: list[int], who: list[int]) -> None:
    algorithm = object.__new__(OffPolicyAlgorithm)
    algorithm.config = SimpleNamespace(
        rollout_fragment_length=FRAGMENT, num_envs_per_env_runner=ENVS, sample_timeout_s=60.0
    )
    algorithm.env_runner_group = Group(*lost)
    algorithm._empty_rounds = 0
    counted: list[list[int]] = []
    algorithm.metrics = SimpleNamespace(aggregate=lambda metrics, **_: counted.append(metrics))
    fragments = algorithm._sample(random_actions=True)
    assert [fragment.env_steps() for fragment in fragments] == steps
    assert counted == [who]
    assert algorithm._empty_rounds == (0 if steps else 1)
