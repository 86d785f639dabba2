"""The robots known by name: their ids, reference scores and perturbation bounds."""

import difflib
import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class Robot:
    """One robot; the reference returns are those of D4RL's `infos.py` (Fu et al. 2020, arXiv:2004.07219)."""

    name: str
    """Short name, also that of the D4RL data sets and of the bundled expert."""
    environment_ids: tuple[str, ...]
    """Gymnasium ids of this robot; the first is the default (the paper has the v2 of it)."""
    random_return: float
    expert_return: float
    epsilon: float
    """Default bound on |δ|; per-robot values are ours, since the numbers are missing from the paper's text."""
    contact_force_columns: int = 0
    """How many columns of contact forces D4RL's observations have at their end, beyond those of the default id."""

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
    Robot(
        "ant",
        ("Ant-v4", "Ant-v5"),
        random_return=-325.6,
        expert_return=3879.7,
        epsilon=0.5,
        contact_force_columns=84,  # D4RL's observations are 111 wide, Ant-v4's 27
    ),
)

_D4RL_NAME = re.compile(r"([a-z0-9]+)(-[a-z-]+)?-v[0-2]", re.IGNORECASE)
"""hopper-medium-replay-v2, and the ids that D4RL's data were recorded in, Hopper-v2."""


def find_robot(name: str) -> Robot | None:
    """The robot with this short name, Gymnasium id or D4RL name, or None where it is not one of ours."""
    return next((robot for robot in ROBOTS if name in robot.environment_ids), None) or _robot_called(
        d4rl_robot_name(name) or name
    )


def did_you_mean(name: str) -> str:
    """For hoper "; did you mean hopper?", and nothing where no robot's name is near."""
    known = [one for robot in ROBOTS for one in (robot.name, *robot.environment_ids)]
    near = difflib.get_close_matches(name, known, 1, 0.75) or difflib.get_close_matches(name.lower(), known, 1, 0.75)
    return f"; did you mean {near[0]}?" if near else ""


def d4rl_robot_name(name: str) -> str | None:
    """The robot's part of a D4RL name: hopper of hopper-medium-replay-v2 and of Hopper-v2; None for other names."""
    match = _D4RL_NAME.fullmatch(name)
    return match[1].lower() if match else None


def resolve_environment(name: str) -> str:
    """The Gymnasium id behind a robot's short name or a D4RL name; any other text is taken for an id already.

    The simulators that D4RL's v2 stands for no longer install: the v4 environments have the same observations, actions
    and rewards (except for the contact forces of the ant).
    """
    robot = find_robot(name)
    return robot.environment_ids[0] if robot and name not in robot.environment_ids else name


def _robot_called(name: str) -> Robot | None:
    return next((robot for robot in ROBOTS if name.lower() == robot.name), None)
