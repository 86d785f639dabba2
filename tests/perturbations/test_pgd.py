"""Projected gradient descent, with a critic whose gradient is known."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from afrl_ray.config import PGDSettings
from afrl_ray.networks import CriticGradients, Policy
from afrl_ray.networks.actor_critic import Critic
from afrl_ray.perturbations import Body, RunningEpisodes, StepwisePGD, projected_gradient_deltas

BODY = Body(-np.ones(2, np.float32), np.ones(2, np.float32), np.ones(3, np.float32))


def bowl(center: list[float]) -> Callable[[Tensor], Tensor]:
    """∂Q/∂a of Q(a) = ‖a − center‖², whose lowest point is its centre."""
    return lambda actions: 2 * (actions - torch.tensor(center))


def test_two_steps_by_hand() -> None:
    actions = torch.tensor([[0.5, -1.0], [0.0, 1.0]])
    # ã = a: gradients 2(0.5 − 0.3, −1 − 1) ⊙ a = (0.2, 4) and (0, 0): sign 0 where a is 0 or the slope is
    one = projected_gradient_deltas(bowl([0.3, 1.0]), actions, epsilon=0.3, steps=1, step_size=0.2)
    torch.testing.assert_close(one, torch.tensor([[-0.2, -0.2], [0.0, 0.0]]))
    # ã = (0.4, −0.8): still both downwards, and the second step leaves the box
    two = projected_gradient_deltas(bowl([0.3, 1.0]), actions, epsilon=0.3, steps=2, step_size=0.2)
    torch.testing.assert_close(two, torch.tensor([[-0.3, -0.3], [0.0, 0.0]]))


def test_it_turns_where_the_slope_turns() -> None:
    actions = torch.tensor([[1.0]])
    deltas = [projected_gradient_deltas(bowl([0.75]), actions, 0.5, steps, 0.2).item() for steps in range(5)]
    # ã goes 1.0, 0.8, 0.6 and back over 0.75
    assert deltas == pytest.approx([0.0, -0.2, -0.4, -0.2, -0.4])


class Known:
    """The gradient of Q = s_0 · (ã_0 + 2 ã_1), noting the states that it was asked for."""

    def __init__(self) -> None:
        self.asked: list[np.ndarray] = []

    def at(self, observations: np.ndarray) -> Callable[[Tensor], Tensor]:
        self.asked.append(observations)
        slope = torch.from_numpy(observations[:, :1]) * torch.tensor([[1.0, 2.0]])
        return lambda actions: slope + 0 * actions


def test_only_attacked_episodes_are_and_from_what_they_see_now() -> None:
    critic = Known()
    fault = StepwisePGD(0.3, BODY, PGDSettings(steps=2, step_size=0.1), critic)
    parameters = np.array([[np.nan, np.nan], [0.0, 0.0], [np.nan, np.nan]], np.float32)
    observations = np.array([[1, 0, 0], [1, 0, 0], [-1, 0, 0]], np.float32)
    running = RunningEpisodes(fault, parameters, np.arange(3), observations)
    intended = np.array([[0.5, -0.5], [0.5, -0.5], [0.5, -0.5]], np.float32)
    # Q rises with ã where s_0 is 1: a positive action shrinks, a negative one grows; where s_0 is −1 the other way
    expected = [[0.4, -0.6], [0.5, -0.5], [0.6, -0.4]]
    np.testing.assert_allclose(running.executed(intended), expected, rtol=1e-6)
    assert len(critic.asked[0]) == 16  # padded
    running.observe(-observations)
    np.testing.assert_allclose(running.executed(intended)[[0, 2]], np.array(expected)[[2, 0]], rtol=1e-6)
    assert np.isnan(running.parameters[0]).all()
    running.keep(np.array([False, True, False]))
    np.testing.assert_array_equal(running.executed(intended[:1]), intended[:1])
    assert len(critic.asked) == 2  # nobody is attacked any more


def test_the_default_step_size_reaches_every_corner() -> None:
    for steps in (1, 5, 20):
        fault = StepwisePGD(0.3, BODY, PGDSettings(steps=steps), Known())
        running = RunningEpisodes(fault, np.full((1, 2), np.nan, np.float32), np.arange(1), np.ones((1, 3), np.float32))
        np.testing.assert_allclose(running.executed(np.full((1, 2), 0.5, np.float32)), [[0.35, 0.35]], rtol=1e-6)


def networks() -> tuple[Policy, Critic]:
    torch.manual_seed(0)
    policy, critic = Policy(17, -np.ones(6), np.ones(6), (64, 64)), Critic(17, 6, (64, 64))
    policy.normalizer.set_statistics(np.linspace(-1, 1, 17), np.linspace(0.5, 2, 17))
    return policy, critic


def test_a_real_critics_value_falls_and_more_with_more_steps() -> None:
    policy, critic = networks()
    observations = np.random.default_rng(0).normal(size=(200, 17)).astype(np.float32)
    intended = policy.act(observations)
    values = []
    for steps in (0, 1, 5, 20):
        gradient = CriticGradients(policy.normalizer, critic).at(observations)
        deltas = projected_gradient_deltas(gradient, torch.from_numpy(intended), 0.3, steps, 0.15)
        assert deltas.abs().max() <= 0.3
        executed = torch.from_numpy(intended) * (1 + deltas)
        values.append(critic(policy.normalizer(torch.from_numpy(observations)), executed).mean().item())
    assert values[1] < values[0] - 0.001
    assert values[2] < values[1]
    assert values[3] <= values[2] + 1e-3


def test_what_an_episode_suffers_does_not_depend_on_how_many_there_are() -> None:
    policy, critic = networks()
    fault = StepwisePGD(0.3, Body.of(policy), PGDSettings(), CriticGradients(policy.normalizer, critic))
    observations = np.random.default_rng(0).normal(size=(37, 17)).astype(np.float32)
    intended = policy.act(observations)

    def executed(rows: slice) -> np.ndarray:
        count = len(observations[rows])
        nowhere = np.full((count, 6), np.nan, np.float32)
        return RunningEpisodes(fault, nowhere, np.arange(count), observations[rows]).executed(intended[rows])

    together = executed(slice(None))
    for rows in (slice(0, 1), slice(4, 9), slice(10, 37)):
        np.testing.assert_array_equal(executed(rows), together[rows])
