"""The robots known by name: their ids, reference scores and perturbation bounds."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class Robot:
    """One robot; the reference returns are those of D4RL's `infos.py` (Fu et al. 2020, arXiv:2004.07219)."""

    name: str
    """Short name, also that of the D4RL data sets and of the bundled expert."""
    environment_ids: tuple[str, ...]
    """Gymnasium ids of this robot; the first is the default (the paper's)."""
    random_return: float
    expert_return: float
    epsilon: float
    """Default bound on |δ|; per-robot values are ours (the paper's text says "up to 0.5")."""

    def normalized_score(self, returns: ArrayLike) -> NDArray[np.float64]:
        """100 (R − R_random) / (R_expert − R_random), D4RL's normalised score, elementwise."""
        return (
            100.0
            * (np.asarray(returns, dtype=np.float64) - self.random_return)
            / (self.expert_return - self.random_return)
        )


ROBOTS: tuple[Robot, ...] = (
    Robot("hopper", ("Hopper-v4", "Hopper-v5"), random_return=-20.272305, expert_return=3234.3, epsilon=0.3),
    Robot(
        "halfcheetah",
        ("HalfCheetah-v4", "HalfCheetah-v5"),
        random_return=-280.178953,
        expert_return=12135.0,
        epsilon=0.3,
    ),
    Robot("walker2d", ("Walker2d-v4", "Walker2d-v5"), random_return=1.629008, expert_return=4592.3, epsilon=0.3),
    Robot("ant", ("Ant-v4", "Ant-v5"), random_return=-325.6, expert_return=3879.7, epsilon=0.5),
)


def find_robot(name_or_id: str) -> Robot | None:
    """The robot with this short name or Gymnasium id, or None where it is not one of ours."""
    for robot in ROBOTS:
        if name_or_id.lower() == robot.name or name_or_id in robot.environment_ids:
            return robot
    return None


def resolve_environment(name_or_id: str) -> str:
    """The Gymnasium id behind a robot's short name; any other text is taken for an id already."""
    robot = find_robot(name_or_id)
    return robot.environment_ids[0] if robot and name_or_id not in robot.environment_ids else name_or_id
