"""One update at a time; what SAC and CQL share is tested on SAC."""

from typing import Any

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from afrl_ray.config import SACSettings


def test_everything_but_the_normaliser_moves_in_every_update(
    make_rule: Any, make_batch: Any, snapshot: Any, changed: Any
) -> None:
    settings = SACSettings()
    rule, module = make_rule(settings)
    before = snapshot(module)
    metrics = rule.update(make_batch(settings), 1)
    assert changed(before, module) == {"actor", "critics", "target_critics", "log_temperature"}
    assert metrics.keys() == {"critic_loss", "q_value_mean", "actor_loss", "entropy", "temperature"}
    assert all(value.shape == () and not value.requires_grad for value in metrics.values())


def test_the_critics_follow_the_equations(make_rule: Any, make_batch: Any) -> None:
    settings = SACSettings(gamma=0.9, initial_temperature=0.3)
    rule, module = make_rule(settings)
    batch = make_batch(settings)
    with torch.no_grad():
        next_actions, log_probs = module.policy.actor.sample(batch.next_observations, batch.noise[0])
        next_values = torch.minimum(
            *(critic(batch.next_observations, next_actions) for critic in module.target_critics)
        )
        targets = batch.rewards + 0.9 * (1 - batch.terminations) * (next_values - 0.3 * log_probs)
        values = [critic(batch.observations, batch.actions) for critic in module.critics]
        expected = sum(((value - targets) ** 2).mean() for value in values)
    metrics = rule.update(batch, 1)
    assert_close(metrics["critic_loss"], expected)
    assert_close(metrics["q_value_mean"], values[0].mean())


def test_the_actor_climbs_the_smaller_critic_and_its_own_entropy(make_rule: Any, make_batch: Any) -> None:
    """A gradient by hand, of the critics as they are."""
    settings = SACSettings(initial_temperature=0.3)
    rule, module = make_rule(settings)
    batch, actor = make_batch(settings), module.policy.actor
    actions, log_probs = actor.sample(batch.observations, batch.noise[1])
    values = torch.minimum(*(critic(batch.observations, actions) for critic in module.critics))
    loss = (0.3 * log_probs - values).mean()
    expected = torch.autograd.grad(loss, list(actor.parameters()))
    rule._optimizers["actor"] = torch.optim.SGD(actor.parameters(), lr=0.0)
    metrics = rule._update_actor(batch, 1)
    assert_close(metrics["actor_loss"], loss.detach())
    assert_close(metrics["entropy"], -log_probs.detach().mean())
    for parameter, gradient in zip(actor.parameters(), expected, strict=True):
        assert_close(parameter.grad, gradient)


@pytest.mark.parametrize(("target_entropy", "rises"), [(None, False), (-100.0, False), (100.0, True)])
def test_the_temperature_is_steered_to_the_target_entropy(
    target_entropy: float | None, rises: bool, make_rule: Any, make_batch: Any
) -> None:
    """The default target of two joints is −2; an untrained policy is far above it."""
    settings = SACSettings(target_entropy=target_entropy, initial_temperature=0.5, temperature_learning_rate=0.01)
    rule, _ = make_rule(settings)
    metrics = rule.update(make_batch(settings), 1)
    assert metrics["entropy"] > -2
    expected = 0.5 * np.exp(0.01 if rises else -0.01)  # Adam's first step has the length of the learning rate
    assert metrics["temperature"].item() == pytest.approx(expected, rel=1e-3)


def test_targets_move_by_tau_after_the_critics(make_rule: Any, make_batch: Any, snapshot: Any) -> None:
    settings = SACSettings(tau=0.25)
    rule, module = make_rule(settings)
    before = snapshot(module)
    rule.update(make_batch(settings), 1)
    after = snapshot(module)
    for name in (name for name in after if name.startswith("target_critics")):
        assert_close(after[name], before[name] + 0.25 * (after[name.removeprefix("target_")] - before[name]))


def test_actor_and_temperature_are_left_alone_for_the_first_updates(
    make_rule: Any, make_batch: Any, snapshot: Any, changed: Any
) -> None:
    settings = SACSettings(critic_only_updates=2)
    rule, module = make_rule(settings)
    before = snapshot(module)
    for index in (1, 2):
        assert "actor_loss" not in rule.update(make_batch(settings, index), index)
    assert changed(before, module) == {"critics", "target_critics"}
    assert "actor_loss" in rule.update(make_batch(settings, 3), 3)
    assert changed(before, module) == {"actor", "critics", "target_critics", "log_temperature"}


def test_the_average_policy_follows_the_actor_and_is_what_is_evaluated(make_rule: Any, make_batch: Any) -> None:
    settings = SACSettings(policy_average_decay=0.9)
    rule, module = make_rule(settings)
    average = [parameter.clone() for parameter in module.average_actor.parameters()]
    for index in (1, 2, 3):
        rule.update(make_batch(settings, index), index)
        average = [0.9 * a + 0.1 * b for a, b in zip(average, module.policy.actor.parameters(), strict=True)]
    for parameter, expected in zip(module.average_actor.parameters(), average, strict=True):
        assert_close(parameter, expected)
    observations = torch.randn(5, 4)
    with torch.no_grad():
        expected = module.average_actor(observations)
    np.testing.assert_array_equal(module.evaluation_policy().act(observations.numpy()), expected.numpy())


@pytest.mark.slow
def test_it_finds_the_best_action_of_a_bandit(make_rule: Any, make_batch: Any) -> None:
    """Every episode is one step long and rewards closeness to (1, 0.25)."""
    settings = SACSettings(
        actor_learning_rate=0.01, critic_learning_rate=0.01, temperature_learning_rate=0.01, initial_temperature=0.1
    )
    rule, module = make_rule(settings, (32, 32))
    best, observations = torch.tensor([1.0, 0.25]), torch.zeros(16, 4)
    for index in range(1, 400):
        actions = torch.tensor([-2.0, 0.0]) + torch.tensor([4.0, 1.0]) * torch.rand(16, 2)
        rewards = -((actions - best) / torch.tensor([2.0, 0.5])).square().sum(dim=1)
        columns = {"observations": observations, "actions": actions, "rewards": rewards}
        metrics = rule.update(make_batch(settings, index, terminations=torch.ones(16), **columns), index)
    action = module.policy.act(np.zeros((1, 4), np.float32))[0]
    np.testing.assert_allclose(action, best, atol=0.25)
    assert metrics["entropy"].item() == pytest.approx(-2.0, abs=1.0)
