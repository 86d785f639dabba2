import torch
from torch.testing import assert_close

from afrl_ray.losses.td3_bc import actor_loss

ALPHA = 2.5


def test_value_term_and_cloning_term_by_hand() -> None:
    result = actor_loss(
        q_values=torch.tensor([2.0, -4.0]),
        policy_actions=torch.tensor([[0.0, 1.0], [0.5, -0.5]]),
        data_actions=torch.tensor([[1.0, 1.0], [0.5, 0.5]]),
        alpha=ALPHA,
    )
    # λ = 2.5 / 3, −λ · mean Q = −(2.5 / 3) · (−1); squared distances 1, 0, 0, 1 have the mean 0.5
    assert_close(result.loss, torch.tensor(ALPHA / 3.0 + 0.5))
    assert result.loss.shape == ()
    assert_close(result.q_values, torch.tensor([2.0, -4.0]))


def test_cloning_is_averaged_over_joints_too() -> None:
    zeros, ones = torch.zeros(8, 6), torch.ones(8, 6)
    assert_close(actor_loss(torch.zeros(8), ones, zeros, ALPHA).loss, torch.tensor(1.0))


def test_the_weight_is_constant_in_the_gradient() -> None:
    q_values = torch.tensor([2.0, -4.0], requires_grad=True)
    actions = torch.tensor([[0.0], [0.5]], requires_grad=True)
    actor_loss(q_values, actions, torch.tensor([[1.0], [0.5]]), ALPHA).loss.backward()
    assert_close(q_values.grad, torch.full((2,), -ALPHA / 3.0 / 2.0))
    assert_close(actions.grad, torch.tensor([[-1.0], [0.0]]))  # 2 (π − a) / 2


def test_scaling_all_values_changes_nothing() -> None:
    actions, data = torch.tensor([[0.1], [0.2]]), torch.tensor([[0.3], [0.1]])
    q_values = torch.tensor([3.0, 5.0])
    assert_close(
        actor_loss(q_values, actions, data, ALPHA).loss, actor_loss(1000.0 * q_values, actions, data, ALPHA).loss
    )


def test_values_of_zero_leave_the_cloning_term() -> None:
    actions = torch.tensor([[0.5]])
    assert_close(actor_loss(torch.zeros(1), actions, torch.zeros(1, 1), ALPHA).loss, torch.tensor(0.25))
