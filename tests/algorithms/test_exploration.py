"""How env runners explore with a Gaussian policy; the rest of an env runner does not care which policy acts."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from afrl_ray.algorithms import SACConfig
from afrl_ray.algorithms.env_runner import PerturbedEnvRunner
from afrl_ray.config import EnvironmentSettings, SACSettings

STEPS = 400


@pytest.fixture
def runner() -> Iterator[PerturbedEnvRunner]:
    """One of Pendulum, whose torque is in [−2, 2], with the weights of seed 0."""
    torch.manual_seed(0)
    config = (
        SACConfig()
        .simulation(EnvironmentSettings(id="Pendulum-v1", backend="gymnasium", max_episode_steps=50))
        .env_runners(num_envs_per_env_runner=2)
        .training(settings=SACSettings(hidden_sizes=(8, 8)))
        .debugging(seed=5)
    )
    runner = PerturbedEnvRunner(config=config, worker_index=0)
    yield runner
    runner.stop()


def collect(runner: PerturbedEnvRunner, explore: bool) -> tuple[np.ndarray, np.ndarray]:
    """Observations (n, O) and intended actions (n, A)."""
    [fragment] = runner.sample(num_timesteps=STEPS, explore=explore)
    observations, actions, *_ = runner._layout.split(torch.from_numpy(fragment.rows))
    return observations.numpy(), actions.numpy()


def test_it_explores_by_sampling(runner: PerturbedEnvRunner) -> None:
    observations, actions = collect(runner, explore=True)
    policy = runner.module.policy
    with torch.no_grad():
        means, log_stds = policy.actor.mean_and_log_std(policy.normalizer(torch.from_numpy(observations)))
    noise = (np.arctanh(actions / 2.0) - means.numpy()) / log_stds.exp().numpy()
    assert np.abs(actions).max() < 2.0
    assert abs(noise.mean()) < 0.15
    assert abs(noise.std() - 1.0) < 0.1


def test_it_takes_the_mean_action_where_it_does_not_explore(runner: PerturbedEnvRunner) -> None:
    observations, actions = collect(runner, explore=False)
    np.testing.assert_allclose(actions, runner.module.policy.act(observations), rtol=1e-5, atol=1e-6)


def test_it_has_only_the_networks_that_act(runner: PerturbedEnvRunner) -> None:
    assert {name.split(".")[0] for name in runner.module.state_dict()} == {"policy"}
