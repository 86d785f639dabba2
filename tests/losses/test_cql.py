import math

import torch
from torch.testing import assert_close

from afrl_ray.losses.cql import cloning_loss, conservative_loss, soft_maximum


def test_soft_maximum_is_the_log_of_a_mean_of_exponentials() -> None:
    q_values = torch.tensor([[[0.0, 1.0], [math.log(3.0), 1.0]]])  # one critic, two actions, two states
    assert_close(soft_maximum(q_values, torch.zeros(2, 2)), torch.tensor([[math.log(2.0), 1.0]]))


def test_every_action_counts_by_the_inverse_of_its_density() -> None:
    log_densities = torch.tensor([[math.log(0.5)], [math.log(2.0)]], requires_grad=True)
    result = soft_maximum(torch.zeros(1, 2, 1, requires_grad=True), log_densities)
    assert_close(result, torch.tensor([[math.log(1.25)]]))  # (1/0.5 + 1/2) / 2
    result.sum().backward()
    assert log_densities.grad is None


def test_a_constant_value_over_three_joints_is_itself_plus_the_log_volume() -> None:
    uniform_density = torch.full((10, 4), -3 * math.log(2.0))  # over [−1, 1]³
    expected = torch.full((2, 4), 7.0 + math.log(8.0))
    assert_close(soft_maximum(torch.full((2, 10, 4), 7.0), uniform_density), expected)


def test_samples_of_several_distributions_estimate_the_integral() -> None:
    """∫ exp(−a²/2) over [−1, 1] = √(2π) erf(1/√2), by uniform draws and by draws from a triangle around 0."""
    generator = torch.Generator().manual_seed(0)
    uniform = 2.0 * torch.rand(20_000, generator=generator) - 1.0
    triangle = torch.rand(20_000, generator=generator) - torch.rand(20_000, generator=generator)
    actions = torch.cat([uniform, triangle])
    log_densities = torch.cat([torch.full((20_000,), math.log(0.5)), torch.log(1.0 - triangle.abs())])
    estimate = soft_maximum((-0.5 * actions.square()).view(1, -1, 1), log_densities.unsqueeze(-1))
    exact = math.log(math.sqrt(2 * math.pi) * math.erf(1 / math.sqrt(2)))
    assert_close(estimate, torch.tensor([[exact]]), atol=0.02, rtol=0.0)


def test_large_values_do_not_overflow() -> None:
    assert_close(soft_maximum(torch.full((1, 3, 1), 1e4), torch.zeros(3, 1)), torch.tensor([[1e4]]))


def test_the_gap_is_averaged_over_the_batch_and_summed_over_critics() -> None:
    soft_maxima = torch.tensor([[2.0, 4.0], [1.0, 1.0]], requires_grad=True)
    data_q_values = torch.tensor([[1.0, 1.0], [0.0, 3.0]], requires_grad=True)
    result = conservative_loss(soft_maxima, data_q_values)
    assert_close(result.gaps, torch.tensor([2.0, -0.5]))
    assert_close(result.loss, torch.tensor(1.5))
    result.loss.backward()
    assert_close(soft_maxima.grad, torch.full((2, 2), 0.5))
    assert_close(data_q_values.grad, torch.full((2, 2), -0.5))


def test_the_highest_action_is_pushed_down_hardest() -> None:
    q_values = torch.tensor([[[0.0], [math.log(3.0)]]], requires_grad=True)
    soft_maximum(q_values, torch.zeros(2, 1)).sum().backward()
    assert_close(q_values.grad, torch.tensor([[[0.25], [0.75]]]))


def test_cloning_weighs_entropy_against_the_likelihood_of_the_data() -> None:
    log_probs = torch.tensor([1.0, -1.0], requires_grad=True)
    log_likelihoods = torch.tensor([-2.0, 0.0], requires_grad=True)
    temperature = torch.tensor(0.5, requires_grad=True)
    loss = cloning_loss(log_probs, log_likelihoods, temperature)
    assert_close(loss, torch.tensor(1.0))  # ((0.5 + 2) + (−0.5 − 0)) / 2
    loss.backward()
    assert_close(log_probs.grad, torch.full((2,), 0.25))
    assert_close(log_likelihoods.grad, torch.full((2,), -0.5))
    assert temperature.grad is None
