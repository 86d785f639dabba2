"""A data set of three episodes that every test can check by hand, and a writer of D4RL files."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from afrl_ray.datasets import Transitions


@pytest.fixture
def three_episodes() -> Transitions:
    """Episodes of 3, 2 and 2 steps with O = 2, A = 1: terminated, truncated, unfinished; rewards 1, 2, … 7."""
    states = np.arange(20, dtype=np.float32).reshape(10, 2)  # 4 + 3 + 3 states, told apart by their values
    return Transitions(
        observations=states[[0, 1, 2, 4, 5, 7, 8]],
        actions=np.linspace(-1, 1, 7, dtype=np.float32)[:, None],
        rewards=np.arange(1, 8, dtype=np.float32),
        next_observations=states[[1, 2, 3, 5, 6, 8, 9]],
        terminations=np.array([0, 0, 1, 0, 0, 0, 0], dtype=np.bool_),
        truncations=np.array([0, 0, 0, 0, 1, 0, 0], dtype=np.bool_),
    )


@pytest.fixture
def write_d4rl() -> Callable[..., Path]:
    """Writes transitions as a D4RL file at a path, without the columns in `leave_out`."""

    def write(path: Path, transitions: Transitions, leave_out: tuple[str, ...] = ()) -> Path:
        columns = {
            "observations": transitions.observations,
            "actions": transitions.actions,
            "rewards": transitions.rewards,
            "terminals": transitions.terminations,
            "timeouts": transitions.truncations,
            "next_observations": transitions.next_observations,
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        with h5py.File(path, "w") as file:
            for name in columns.keys() - set(leave_out):
                file[name] = columns[name]
            file["infos/qpos"] = np.zeros(len(transitions))
        return path

    return write
