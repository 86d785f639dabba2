import math

import pytest
import torch
from torch.testing import assert_close

from afrl_ray.losses.iql import actor_loss, advantage_weights, expectile_loss, q_target


def test_expectile_loss_weighs_the_sides_differently() -> None:
    state_values = torch.tensor([2.0, 5.0], requires_grad=True)
    q_values = torch.tensor([3.0, 3.0], requires_grad=True)
    result = expectile_loss(q_values, state_values, expectile=0.7)
    assert_close(result.advantages, torch.tensor([1.0, -2.0]))
    assert_close(result.loss, torch.tensor(0.95))  # (0.7 · 1 + 0.3 · 4) / 2
    result.loss.backward()
    assert_close(state_values.grad, torch.tensor([-0.7, 0.6]))
    assert q_values.grad is None


def test_an_expectile_of_one_half_is_half_of_the_square() -> None:
    q_values, state_values = torch.tensor([1.0, -2.0, 4.0]), torch.zeros(3)
    assert_close(expectile_loss(q_values, state_values, 0.5).loss, torch.tensor(0.5 * 21.0 / 3.0))


@pytest.mark.parametrize("expectile", [0.1, 0.5, 0.7, 0.9])
def test_the_best_value_between_0_and_1_is_the_expectile(expectile: float) -> None:
    """τ (1 − v) = (1 − τ) v has the solution v = τ."""
    value = torch.tensor(expectile, requires_grad=True)
    expectile_loss(torch.tensor([0.0, 1.0]), value.expand(2), expectile).loss.backward()
    assert_close(value.grad, torch.tensor(0.0))


def test_target_bootstraps_from_the_state_value_unless_terminal() -> None:
    targets = q_target(
        rewards=torch.tensor([1.0, 1.0]),
        terminations=torch.tensor([0.0, 1.0]),
        next_state_values=torch.tensor([10.0, 10.0]),
        gamma=0.9,
    )
    assert_close(targets, torch.tensor([10.0, 1.0]))


def test_weights_are_exponential_up_to_the_cap() -> None:
    advantages = torch.tensor([-1.0, 0.0, 0.5, 1.53, 1.54, 1000.0], requires_grad=True)
    weights = advantage_weights(advantages, temperature=3.0, max_weight=100.0)
    expected = [math.exp(-3.0), 1.0, math.exp(1.5), math.exp(4.59), 100.0, 100.0]  # e^4.62 is 101.5
    assert_close(weights, torch.tensor(expected))
    assert not weights.requires_grad


def test_actor_loss_is_the_weighted_negative_log_likelihood() -> None:
    log_likelihoods = torch.tensor([-1.0, 2.0], requires_grad=True)
    loss = actor_loss(torch.tensor([3.0, 0.5]), log_likelihoods)
    assert_close(loss, torch.tensor(1.0))  # −(−3 + 1) / 2
    loss.backward()
    assert_close(log_likelihoods.grad, torch.tensor([-1.5, -0.25]))
