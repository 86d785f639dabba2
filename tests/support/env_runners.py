"""An env runner of Hopper in this process, what it collected, and what its environment was told to execute."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch

from afrl_ray.algorithms import TD3Config
from afrl_ray.algorithms.env_runner import PerturbedEnvRunner
from afrl_ray.config import EnvironmentSettings, FaultSettings, TD3Settings
from afrl_ray.envs import envpool_env
from afrl_ray.perturbations import ConstantSource, PerturbationSnapshot

SEED = 5
NEEDS_ENVPOOL = pytest.mark.skipif(not envpool_env.is_available("Hopper-v4"), reason="no EnvPool on this platform")
BACKENDS = (pytest.param("envpool", marks=NEEDS_ENVPOOL), "gymnasium")
MULTIPLICATIVE = FaultSettings(magnitude=0.3)
FAULT = np.array([[0.3, -0.3, 0.2]], dtype=np.float32)
ALWAYS_FAULT = ConstantSource(PerturbationSnapshot("adversarial", q=1.0, fault=MULTIPLICATIVE, bank=FAULT))


@contextmanager
def env_runner(
    *,
    num_envs: int = 1,
    source: Any = None,
    worker_index: int = 0,
    exploration_noise: float = 0.1,
    acting_critics: bool = False,
    **environment: Any,
) -> Iterator[PerturbedEnvRunner]:
    """An env runner of Hopper, in this process and without Ray, with the weights of seed 0."""
    torch.manual_seed(0)
    config = (
        TD3Config()
        .simulation(EnvironmentSettings(**{"id": "Hopper-v4", **environment}))
        .env_runners(num_envs_per_env_runner=num_envs)
        .training(
            settings=TD3Settings(hidden_sizes=(8, 8), exploration_noise=exploration_noise),
            perturbation_source=source,
            acting_critics=acting_critics,
        )
        .debugging(seed=SEED)
    )
    runner = PerturbedEnvRunner(config=config, worker_index=worker_index)
    yield runner
    runner.stop()


@dataclass
class Rows:
    """What was collected, by time and environment."""

    observations: np.ndarray  # (steps, num_envs, O)
    actions: np.ndarray  # (steps, num_envs, A)
    rewards: np.ndarray  # (steps, num_envs)
    next_observations: np.ndarray  # (steps, num_envs, O)
    terminations: np.ndarray  # (steps, num_envs)

    @property
    def begins(self) -> np.ndarray:
        """(steps, num_envs), whether the observation is not the one that the row before reached."""
        same = (self.observations[1:] == self.next_observations[:-1]).all(axis=-1)
        return np.concatenate([np.ones((1, same.shape[1]), bool), ~same])


def collect(runner: PerturbedEnvRunner, steps: int, **options: Any) -> Rows:
    assert runner.env is not None
    [fragment] = runner.sample(num_timesteps=steps * runner.env.num_envs, **options)
    columns = runner._layout.split(torch.from_numpy(fragment.rows).view(steps, runner.env.num_envs, -1))
    return Rows(*(column.numpy() for column in columns))


class Recorder:
    """Stands before an environment and notes what is executed."""

    def __init__(self, env: Any) -> None:
        self._env = env
        self.executed: list[np.ndarray] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._env, name)

    def step(self, actions: np.ndarray, *arguments: Any) -> Any:
        self.executed.append(actions.copy())
        return self._env.step(actions, *arguments)


def collect_deltas(runner: PerturbedEnvRunner, steps: int) -> np.ndarray:
    """The δ of every row, (steps, num_envs, A), as the executed actions tell."""
    runner.env = recorder = Recorder(runner.env)  # type: ignore[assignment]
    rows = collect(runner, steps, explore=False)
    executed = np.stack(recorder.executed)
    assert np.abs(executed).max() < 1  # nothing was clipped
    return executed / rows.actions - 1.0
