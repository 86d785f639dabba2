import math

import torch
from torch.testing import assert_close

from afrl_ray.losses.sac import actor_loss, soft_q_target, temperature_loss


def test_target_is_the_smaller_next_value_plus_the_entropy_bonus() -> None:
    targets = soft_q_target(
        rewards=torch.tensor([1.0, 2.0]),
        terminations=torch.zeros(2),
        next_q_values=torch.tensor([[2.0, 0.0], [3.0, -4.0]]),
        next_log_probs=torch.tensor([-0.5, 1.5]),
        temperature=torch.tensor(0.2),
        gamma=0.5,
    )
    assert_close(targets, torch.tensor([2.05, -0.15]))  # 1 + 0.5 (2 + 0.2·0.5), 2 + 0.5 (−4 − 0.2·1.5)


def test_a_terminal_state_has_neither_value_nor_entropy() -> None:
    targets = soft_q_target(
        rewards=torch.tensor([1.0]),
        terminations=torch.ones(1),
        next_q_values=torch.tensor([[100.0], [200.0]]),
        next_log_probs=torch.tensor([-7.0]),
        temperature=torch.tensor(0.2),
        gamma=0.99,
    )
    assert_close(targets, torch.tensor([1.0]))


def test_actor_loss_weighs_log_probability_against_the_smaller_value() -> None:
    q_values = torch.tensor([[1.0, 4.0], [2.0, 3.0]], requires_grad=True)
    log_probs = torch.tensor([1.0, -1.0], requires_grad=True)
    temperature = torch.tensor(0.5, requires_grad=True)
    result = actor_loss(q_values, log_probs, temperature)
    assert_close(result.loss, torch.tensor(-2.0))  # ((0.5 − 1) + (−0.5 − 3)) / 2
    assert_close(result.q_values, torch.tensor([1.0, 3.0]))
    result.loss.backward()
    assert_close(q_values.grad, torch.tensor([[-0.5, 0.0], [0.0, -0.5]]))
    assert_close(log_probs.grad, torch.tensor([0.25, 0.25]))
    assert temperature.grad is None


def test_temperature_falls_while_the_entropy_is_above_its_target() -> None:
    log_temperature = torch.tensor(math.log(2.0), requires_grad=True)
    log_probs = torch.tensor([-1.0, -3.0], requires_grad=True)  # an entropy of 2
    loss = temperature_loss(log_temperature, log_probs, target_entropy=-1.0)
    assert_close(loss, torch.tensor(6.0))  # −2 · mean(−1 − 1, −3 − 1)
    loss.backward()
    assert_close(log_temperature.grad, torch.tensor(6.0))
    assert log_probs.grad is None


def test_temperature_rises_while_the_entropy_is_below_its_target_and_rests_at_it() -> None:
    for log_prob, gradient in ((3.0, -1.0), (2.0, 0.0)):
        log_temperature = torch.zeros((), requires_grad=True)
        temperature_loss(log_temperature, torch.full((4,), log_prob), target_entropy=-2.0).backward()
        assert_close(log_temperature.grad, torch.tensor(gradient))
