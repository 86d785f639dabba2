"""Batches of environments, stepped in part and reset only on request."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from gymnasium.spaces import Box
from numpy.typing import NDArray

from afrl_ray.arrays import BoolArray, FloatArray

EnvIds = NDArray[np.int32]  # (n,), as EnvPool wants them


@dataclass(frozen=True)
class StepResult:
    """What `n` stepped environments answered."""

    observations: FloatArray  # (n, O)
    rewards: FloatArray  # (n,)
    terminations: BoolArray  # (n,)
    truncations: BoolArray  # (n,)


class VectorEnv(Protocol):
    """`num_envs` environments of one kind, each with a random generator seeded once.

    There is no automatic reset: an environment whose episode ended must be reset before its next step, so that no
    row of a batch ever belongs to two episodes.
    """

    num_envs: int
    observation_space: Box
    action_space: Box

    def reset(self, env_ids: EnvIds | None = None) -> FloatArray:
        """Begin new episodes in `env_ids` (all when None); returns their observations (n, O)."""
        ...

    def step(self, actions: FloatArray, env_ids: EnvIds | None = None) -> StepResult:
        """Step `env_ids` (all when None) with `actions` (n, A), in that order."""
        ...

    def close(self) -> None: ...


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
