import math

import numpy as np
import pytest
import torch
from torch.distributions import Normal, TanhTransform, TransformedDistribution
from torch.testing import assert_close

from afrl_ray.networks import GaussianActor
from afrl_ray.networks.gaussian import (
    LOG_STD_RANGE,
    bounded_log_std,
    log_likelihood_around_squashed_mean,
    sample_squashed,
)

LOW, HIGH = np.array([-2.0, 0.0], np.float32), np.array([2.0, 1.0], np.float32)


def make_actor(means: tuple[float, float], log_std_outputs: tuple[float, float] = (0.0, 0.0)) -> GaussianActor:
    """An actor of two joints that gives these outputs for every observation."""
    actor = GaussianActor(3, LOW, HIGH, (8,))
    with torch.no_grad():
        actor.layers[-1].weight.zero_()
        actor.layers[-1].bias.copy_(torch.tensor([*means, *log_std_outputs]))
    return actor


# ---- densities by hand -----------------------------------------------------------------------------------------------


def test_log_probability_of_a_squashed_sample_by_hand() -> None:
    """Joint 1: u = 0, so log N(0; 0, 1) − log 1. Joint 2: u = 0.5 + e^−1 · 2."""
    means, log_stds = torch.tensor([[0.0, 0.5]]), torch.tensor([[0.0, -1.0]])
    samples, log_probs = sample_squashed(means, log_stds, torch.tensor([[0.0, 2.0]]))
    second = 0.5 + 2.0 / math.e
    assert_close(samples, torch.tensor([[0.0, math.tanh(second)]]))
    half_log_2pi = 0.5 * math.log(2 * math.pi)
    by_joint = (-half_log_2pi, -2.0 + 1.0 - half_log_2pi - math.log(1 - math.tanh(second) ** 2))
    assert_close(log_probs, torch.tensor([sum(by_joint)]))


def test_log_probabilities_agree_with_torch_s_transformed_distribution() -> None:
    generator = torch.Generator().manual_seed(0)
    means, log_stds = torch.randn(50, 3, generator=generator), torch.randn(50, 3, generator=generator) - 1.0
    noise = torch.randn(50, 3, generator=generator)
    samples, log_probs = sample_squashed(means.double(), log_stds.double(), noise.double())
    distribution = TransformedDistribution(Normal(means.double(), log_stds.double().exp()), TanhTransform())
    assert_close(log_probs, distribution.log_prob(samples).sum(dim=-1), rtol=1e-5, atol=1e-5)


def test_the_squashed_density_integrates_to_one() -> None:
    values = torch.linspace(-1, 1, 200_003, dtype=torch.float64)[1:-1, None]
    mean, log_std = torch.tensor([[0.4]], dtype=torch.float64), torch.tensor([[-0.7]], dtype=torch.float64)
    noise = (torch.atanh(values) - mean) / log_std.exp()
    _, log_probs = sample_squashed(mean, log_std, noise)
    assert_close(log_probs.exp().mean() * 2.0, torch.tensor(1.0, dtype=torch.float64), rtol=1e-4, atol=1e-4)


def test_log_probability_is_finite_where_tanh_rounds_to_one() -> None:
    means = torch.tensor([[30.0], [-30.0]], requires_grad=True)
    samples, log_probs = sample_squashed(means, torch.zeros(2, 1), torch.zeros(2, 1))
    assert_close(samples, torch.tensor([[1.0], [-1.0]]))
    expected = -0.5 * math.log(2 * math.pi) - 2 * math.log(2.0) + 60.0  # log(1 − tanh² u) → 2 log 2 − 2 |u|
    assert_close(log_probs, torch.full((2,), expected))
    log_probs.sum().backward()
    assert_close(means.grad, torch.tensor([[2.0], [-2.0]]))


def test_several_samples_of_each_state_are_as_if_drawn_one_by_one() -> None:
    means, log_stds, noise = torch.randn(4, 2), torch.randn(4, 2), torch.randn(5, 4, 2)
    samples, log_probs = sample_squashed(means, log_stds, noise)
    assert samples.shape == (5, 4, 2)
    for index in range(5):
        one, log_prob = sample_squashed(means, log_stds, noise[index])
        assert_close(samples[index], one)
        assert_close(log_probs[index], log_prob)


def test_likelihood_of_data_on_the_bounds_by_hand() -> None:
    means, log_stds = torch.tensor([[math.atanh(0.5), 0.0]]), torch.tensor([[-1.0, 0.0]])
    values = torch.tensor([[1.0, -1.0]])
    half_log_2pi = 0.5 * math.log(2 * math.pi)
    by_joint = (-0.5 * (0.5 * math.e) ** 2 + 1.0 - half_log_2pi, -0.5 - half_log_2pi)
    assert_close(log_likelihood_around_squashed_mean(means, log_stds, values), torch.tensor([sum(by_joint)]))


def test_the_standard_deviation_is_bounded_and_can_always_move() -> None:
    outputs = torch.tensor([-100.0, -4.0, 0.0, 4.0, 100.0], requires_grad=True)
    log_stds = bounded_log_std(outputs)
    low, high = LOG_STD_RANGE
    assert_close(log_stds[[0, 2, 4]], torch.tensor([low, 0.5 * (low + high), high]))
    assert (log_stds.diff() > 0).all()
    log_stds[1].backward()
    assert outputs.grad is not None
    assert outputs.grad[1] > 1e-3


# ---- the actor -------------------------------------------------------------------------------------------------------


def test_the_deterministic_action_is_the_squashed_mean_in_the_spaces_units() -> None:
    actor = make_actor((math.atanh(0.5), math.atanh(-0.5)), (3.0, -3.0))
    assert_close(actor(torch.randn(4, 3)), torch.tensor([[1.0, 0.25]]).expand(4, 2))  # 0 + 2 · 0.5, 0.5 − 0.5 · 0.5


def test_samples_are_in_the_spaces_units_and_densities_are_not() -> None:
    """Twice the action range moves the samples, and leaves the log-density as it is."""
    actor, noise = make_actor((0.3, -0.2)), torch.randn(4, 2)
    actions, log_probs = actor.sample(torch.randn(4, 3), noise)
    squashed, expected = sample_squashed(torch.tensor([[0.3, -0.2]]), torch.full((1, 2), -1.5), noise)
    assert_close(log_probs, expected)
    assert_close(actions, torch.tensor([0.0, 0.5]) + torch.tensor([2.0, 0.5]) * squashed)


def test_samples_without_noise_are_the_deterministic_action() -> None:
    actor, observations = GaussianActor(3, LOW, HIGH, (8, 8)), torch.randn(6, 3)
    actions, _ = actor.sample(observations, torch.zeros(6, 2))
    assert_close(actions, actor(observations))


def test_samples_are_spread_by_the_standard_deviation_within_the_bounds() -> None:
    actor = make_actor((0.0, 0.0), (-0.5, 0.5))
    actions, _ = actor.sample(torch.zeros(1, 3), torch.randn(20_000, 1, 2, generator=torch.Generator().manual_seed(0)))
    actions = actions.squeeze(1)
    assert (actions >= torch.from_numpy(LOW)).all()
    assert (actions <= torch.from_numpy(HIGH)).all()
    deviations = torch.atanh(((actions - torch.tensor([0.0, 0.5])) / torch.tensor([2.0, 0.5])).double()).std(dim=0)
    assert_close(deviations.float(), bounded_log_std(torch.tensor([-0.5, 0.5])).exp(), rtol=0.03, atol=0.0)


def test_the_likelihood_is_of_actions_in_the_spaces_units() -> None:
    actor = make_actor((0.0, 0.0))
    at_the_mean, at_the_bound = torch.tensor([[0.0, 0.5]]), torch.tensor([[2.0, 0.5]])
    difference = actor.log_likelihood(torch.zeros(1, 3), at_the_mean) - actor.log_likelihood(
        torch.zeros(1, 3), at_the_bound
    )
    assert_close(difference, torch.tensor([0.5 * math.exp(3.0)]))  # one half range away, σ = e^−1.5


@pytest.mark.parametrize("call", ["sample", "log_likelihood"])
def test_densities_are_float32_under_bfloat16_products(call: str) -> None:
    actor, inputs = GaussianActor(3, LOW, HIGH, (8,)), torch.rand(4, 2)
    observations = torch.randn(4, 3)
    with torch.autocast("cpu", torch.bfloat16):
        result = getattr(actor, call)(observations, inputs)
    exact = getattr(actor, call)(observations, inputs)
    for one, other in zip(*((r if isinstance(r, tuple) else (r,)) for r in (result, exact)), strict=True):
        assert one.dtype == torch.float32
        assert_close(one, other, rtol=0.1, atol=0.1)
