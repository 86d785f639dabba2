import pytest
import torch
from torch.testing import assert_close

from afrl_ray.losses.td3 import actor_loss, clipped_double_q_target, critic_loss, smoothed_actions

# two critics, three rows
Q_VALUES = torch.tensor([[1.0, 2.0, 3.0], [2.0, 0.0, 5.0]])


def test_smoothing_clips_the_noise_and_then_the_action() -> None:
    actions = torch.tensor([[0.0, 0.9], [-0.9, 0.2]])
    noise = torch.tensor([[0.7, 0.3], [-0.3, -0.1]])
    clip = torch.tensor([0.5, 0.25])  # a bound per joint
    low, high = torch.tensor([-1.0, -1.0]), torch.tensor([1.0, 1.0])
    expected = torch.tensor([[0.5, 1.0], [-1.0, 0.1]])  # 0.7 → 0.5; 0.9 + 0.25 → 1; −0.9 − 0.3 → −1
    assert_close(smoothed_actions(actions, noise, clip, low, high), expected)


def test_target_takes_the_smaller_next_value() -> None:
    targets = clipped_double_q_target(
        rewards=torch.tensor([1.0, 2.0, 3.0]), terminations=torch.zeros(3), next_q_values=Q_VALUES, gamma=0.5
    )
    assert_close(targets, torch.tensor([1.5, 2.0, 4.5]))  # 1 + 0.5·1, 2 + 0.5·0, 3 + 0.5·3


def test_a_terminal_state_has_no_value_and_a_truncated_one_has() -> None:
    terminated, truncated = 1.0, 0.0
    targets = clipped_double_q_target(
        rewards=torch.tensor([1.0, 1.0]),
        terminations=torch.tensor([terminated, truncated]),
        next_q_values=torch.tensor([[10.0, 10.0], [20.0, 20.0]]),
        gamma=0.9,
    )
    assert_close(targets, torch.tensor([1.0, 10.0]))


def test_critic_loss_sums_over_critics_and_averages_over_the_batch() -> None:
    result = critic_loss(Q_VALUES, torch.tensor([1.0, 1.0, 1.0]))
    # critic 1: (0 + 1 + 4) / 3, critic 2: (1 + 1 + 16) / 3
    assert_close(result.loss, torch.tensor(23.0 / 3.0))
    assert result.loss.shape == ()
    assert_close(result.q_values, Q_VALUES)
    assert_close(result.target_q_values, torch.ones(3))


def test_critic_gradient_is_that_of_the_mean_square_and_the_target_is_constant() -> None:
    q_values = Q_VALUES.clone().requires_grad_()
    targets = torch.ones(3, requires_grad=True)
    critic_loss(q_values, targets).loss.backward()
    assert_close(q_values.grad, 2.0 * (Q_VALUES - 1.0) / 3.0)
    assert targets.grad is None


def test_actor_loss_is_the_negative_mean_value() -> None:
    q_values = torch.tensor([1.0, -2.0, 4.0], requires_grad=True)
    result = actor_loss(q_values)
    assert_close(result.loss, torch.tensor(-1.0))
    assert_close(result.q_values, torch.tensor([1.0, -2.0, 4.0]))
    result.loss.backward()
    assert_close(q_values.grad, torch.full((3,), -1.0 / 3.0))


def test_normalised_actor_loss_is_divided_by_a_constant_scale() -> None:
    q_values = torch.tensor([1.0, -2.0, 6.0], requires_grad=True)
    result = actor_loss(q_values, normalize=True)
    assert_close(result.loss, torch.tensor(-5.0 / 9.0))  # mean Q = 5/3, mean |Q| = 3
    result.loss.backward()
    # were the scale differentiated too, the gradient would differ from row to row
    assert_close(q_values.grad, torch.full((3,), -1.0 / 9.0))


@pytest.mark.parametrize("normalize", [False, True])
def test_values_of_zero_are_no_division_by_zero(normalize: bool) -> None:
    assert_close(actor_loss(torch.zeros(4), normalize).loss, torch.tensor(0.0))


def test_gradients_reach_a_policy_through_the_critic_values() -> None:
    actions = torch.tensor([[0.5], [1.0]], requires_grad=True)
    actor_loss((3.0 * actions).squeeze(-1)).loss.backward()
    assert_close(actions.grad, torch.full((2, 1), -1.5))
