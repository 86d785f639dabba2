import numpy as np
import pytest
import torch

from afrl_ray.config import EnvironmentSettings, FaultSettings
from afrl_ray.networks import Policy
from afrl_ray.perturbations import Body, make_fault
from afrl_ray.rollouts import Candidate, DistributedRollouts, LocalRollouts

SETTINGS = EnvironmentSettings(id="Hopper-v4", max_episode_steps=60)


def small_policy() -> Policy:
    torch.manual_seed(3)
    return Policy(11, -np.ones(3), np.ones(3), (32, 32))


@pytest.mark.slow
@pytest.mark.usefixtures("ray_session")
@pytest.mark.parametrize("workers", [1, 2, 3])
def test_distributed_equals_local(workers: int) -> None:
    policy = small_policy()
    local, distributed = LocalRollouts(policy, SETTINGS), DistributedRollouts(policy, SETTINGS, workers)
    seeds = np.arange(7)
    parameters = np.random.default_rng(0).uniform(-0.3, 0.3, (7, 3)).astype(np.float32)
    expected, episodes = local.run(seeds, parameters), distributed.run(seeds, parameters)
    np.testing.assert_array_equal(episodes.returns, expected.returns)
    np.testing.assert_array_equal(episodes.lengths, expected.lengths)
    candidates = [Candidate(delta, seeds[:2], 0.5, limit=40.0) for delta in parameters[:5]]
    for one, other in zip(distributed.play(candidates), local.play(candidates), strict=True):
        np.testing.assert_array_equal(one.returns, other.returns)
        assert one.stopped == other.stopped
    assert distributed.play([]) == []
    noise = make_fault(FaultSettings(type="action_noise", magnitude=0.4), Body.of(policy))
    under_noise = distributed.run(seeds, np.abs(parameters), noise)
    np.testing.assert_array_equal(under_noise.returns, local.run(seeds, np.abs(parameters), noise).returns)
    assert not np.array_equal(under_noise.returns, episodes.returns)
    for one, other in zip(distributed.play(candidates[:3], noise), local.play(candidates[:3], noise), strict=True):
        np.testing.assert_array_equal(one.returns, other.returns)


@pytest.mark.slow
@pytest.mark.usefixtures("ray_session")
def test_a_failing_task_says_why() -> None:
    distributed = DistributedRollouts(small_policy(), SETTINGS, 2)
    with pytest.raises(ValueError, match="θ has 2 numbers"):
        distributed.run([0, 1, 2], np.zeros((3, 2)))


def test_at_least_one_worker() -> None:
    with pytest.raises(ValueError, match="workers must be at least 1"):
        DistributedRollouts(small_policy(), SETTINGS, 0)
