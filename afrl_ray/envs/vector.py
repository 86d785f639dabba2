"""Batches of environments, stepped in part and reset only on request, over EnvPool or Gymnasium."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from gymnasium.spaces import Box
from numpy.typing import NDArray

from afrl_ray.config import EnvironmentSettings
from afrl_ray.envs.robots import resolve_environment

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int32]


@dataclass(frozen=True)
class StepResult:
    """What `n` stepped environments answered."""

    observations: FloatArray  # (n, O)
    rewards: FloatArray  # (n,)
    terminations: NDArray[np.bool_]  # (n,)
    truncations: NDArray[np.bool_]  # (n,)


class VectorEnv(Protocol):
    """`num_envs` environments of one kind, each with a random generator seeded once.

    There is no automatic reset: an environment whose episode ended must be reset before its next step, so that no
    row of a batch ever belongs to two episodes.
    """

    num_envs: int
    observation_space: Box
    action_space: Box

    def reset(self, env_ids: IntArray | None = None) -> FloatArray:
        """Begin new episodes in `env_ids` (all when None); returns their observations (n, O)."""
        ...

    def step(self, actions: FloatArray, env_ids: IntArray | None = None) -> StepResult:
        """Step `env_ids` (all when None) with `actions` (n, A), in that order."""
        ...

    def close(self) -> None: ...


def make_vector_env(settings: EnvironmentSettings, seeds: Sequence[int], num_threads: int = 1) -> VectorEnv:
    """One environment per seed, ready for `reset`.

    An environment's sequence of initial states depends on its own seed alone, whatever stands beside it in the batch.

    Raises:
        ValueError: the id is unknown, or its spaces are not flat Boxes with bounded actions.
    """
    from afrl_ray.envs import envpool_env, gymnasium_env

    environment_id = resolve_environment(settings.id)
    use_envpool = settings.backend == "envpool" or (
        settings.backend == "auto" and envpool_env.is_available(environment_id)
    )
    backend = envpool_env.EnvPoolVectorEnv if use_envpool else gymnasium_env.GymnasiumVectorEnv
    return backend(environment_id, [int(seed) % 2**31 for seed in seeds], settings.max_episode_steps, num_threads)


def float_box(space: object, role: str, environment_id: str) -> Box:
    """`space` as a flat float32 Box.

    Raises:
        ValueError: it is not a one-dimensional Box.
    """
    if not isinstance(space, Box) or len(space.shape) != 1:
        raise ValueError(f"{environment_id}: the {role} space must be a one-dimensional Box, not {space}")
    if role == "action" and not (np.isfinite(space.low).all() and np.isfinite(space.high).all()):
        raise ValueError(f"{environment_id}: the action space must be bounded, not {space}")
    return Box(space.low.astype(np.float32), space.high.astype(np.float32), space.shape, np.float32)
