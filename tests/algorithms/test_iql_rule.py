"""One update at a time."""

from typing import Any

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from afrl_ray.config import IQLSettings


def test_everything_but_the_normaliser_moves_in_every_update(
    make_rule: Any, make_batch: Any, snapshot: Any, changed: Any
) -> None:
    settings = IQLSettings()
    rule, module = make_rule(settings)
    before = snapshot(module)
    metrics = rule.update(make_batch(settings), 1)
    assert changed(before, module) == {"actor", "critics", "target_critics", "state_value"}
    assert all(value.shape == () and not value.requires_grad for value in metrics.values())


def test_losses_follow_the_equations(make_rule: Any, make_batch: Any) -> None:
    settings = IQLSettings(gamma=0.9, expectile=0.8, temperature=2.0, max_advantage_weight=0.65)
    rule, module = make_rule(settings)
    batch = make_batch(settings)
    with torch.no_grad():
        data = (batch.observations, batch.actions)
        target_values = torch.minimum(*(critic(*data) for critic in module.target_critics))
        advantages = target_values - module.state_value(batch.observations)
        value_loss = (torch.where(advantages < 0, 0.2, 0.8) * advantages**2).mean()
        log_likelihoods = module.policy.actor.log_likelihood(*data)
        values = [critic(*data) for critic in module.critics]
    metrics = rule.update(batch, 1)
    with torch.no_grad():  # the actor and the critics use V after its step
        advantages = target_values - module.state_value(batch.observations)
        weights = torch.exp(2.0 * advantages).clamp(max=0.65)
        targets = batch.rewards + 0.9 * (1 - batch.terminations) * module.state_value(batch.next_observations)
        critic_loss = sum(((value - targets) ** 2).mean() for value in values)
    assert 0 < (weights == torch.tensor(0.65)).sum() < len(weights)
    assert_close(metrics["state_value_loss"], value_loss)
    assert_close(metrics["actor_loss"], -(weights * log_likelihoods).mean())
    assert_close(metrics["critic_loss"], critic_loss)
    assert_close(metrics["advantage_weight_mean"], weights.mean())


def test_targets_move_by_tau_after_the_critics(make_rule: Any, make_batch: Any, snapshot: Any) -> None:
    settings = IQLSettings(tau=0.25)
    rule, module = make_rule(settings)
    before = snapshot(module)
    rule.update(make_batch(settings), 1)
    after = snapshot(module)
    for name in (name for name in after if name.startswith("target_critics")):
        assert_close(after[name], before[name] + 0.25 * (after[name.removeprefix("target_")] - before[name]))


@pytest.mark.slow
@pytest.mark.parametrize(("temperature", "expected"), [(0.0, 0.5), (10.0, 1.0)])
def test_the_actor_prefers_the_better_of_the_datas_actions(
    temperature: float, expected: float, make_rule: Any, make_batch: Any
) -> None:
    """Half of the data does (0, 0.5) for nothing, half (1, 0.5) for a reward of 1: β = 0 takes the mean of both."""
    settings = IQLSettings(
        temperature=temperature, actor_learning_rate=0.01, critic_learning_rate=0.01, value_learning_rate=0.01, tau=0.1
    )
    rule, module = make_rule(settings, (32, 32))
    good = torch.arange(16) % 2
    columns = {
        "observations": torch.zeros(16, 4),
        "actions": torch.stack([good.float(), torch.full((16,), 0.5)], dim=1),
        "rewards": good.float(),
        "terminations": torch.ones(16),
    }
    for index in range(1, 400):
        rule.update(make_batch(settings, index, **columns), index)
    action = module.policy.act(np.zeros((1, 4), np.float32))[0]
    np.testing.assert_allclose(action, [expected, 0.5], atol=0.1)
