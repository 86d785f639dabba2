"""One update at a time; what CQL shares with SAC is tested there."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from afrl_ray.config import CQLSettings

LOW, HIGH = torch.tensor([-2.0, 0.0]), torch.tensor([2.0, 1.0])


def test_everything_but_the_normaliser_moves_in_every_update(
    make_rule: Any, make_batch: Any, snapshot: Any, changed: Any
) -> None:
    settings = CQLSettings()
    rule, module = make_rule(settings)
    before = snapshot(module)
    metrics = rule.update(make_batch(settings), 1)
    assert changed(before, module) == {"actor", "critics", "target_critics", "log_temperature"}
    assert all(value.shape == () and not value.requires_grad for value in metrics.values())


def test_the_critics_follow_the_equations(make_rule: Any, make_batch: Any) -> None:
    """The Bellman error without entropy, and the soft maximum over all actions one by one."""
    settings = CQLSettings(gamma=0.9, num_actions=2, min_q_weight=3.0)
    rule, module = make_rule(settings)
    batch, actor = make_batch(settings), module.policy.actor
    with torch.no_grad():
        next_actions, _ = actor.sample(batch.next_observations, batch.noise[0])
        next_values = torch.minimum(
            *(critic(batch.next_observations, next_actions) for critic in module.target_critics)
        )
        targets = batch.rewards + 0.9 * (1 - batch.terminations) * next_values
        draws = []
        for index in (2, 3):
            uniform = LOW + (HIGH - LOW) * torch.special.ndtr(batch.noise[index])
            draws.append((uniform, torch.full((16,), math.log(0.25))))  # a density of ½ per joint of [−1, 1]
        draws += [actor.sample(batch.observations, batch.noise[index]) for index in (4, 5)]
        draws += [actor.sample(batch.next_observations, batch.noise[index]) for index in (6, 7)]
        bellman, gaps = torch.zeros(()), []
        for critic in module.critics:
            data_values = critic(batch.observations, batch.actions)
            bellman += ((data_values - targets) ** 2).mean()
            ratios = [torch.exp(critic(batch.observations, actions) - density) for actions, density in draws]
            gaps.append((torch.log(torch.stack(ratios).mean(dim=0)) - data_values).mean())
    metrics = rule.update(batch, 1)
    assert_close(metrics["critic_loss"], bellman)
    assert_close(metrics["conservative_gap"], torch.stack(gaps).mean())


@pytest.mark.slow
def test_the_weight_decides_how_far_other_actions_are_pushed_down(make_rule: Any, make_batch: Any) -> None:
    """How much the data's action is valued above random ones, though all of them are rewarded alike."""
    preferences = []
    for weight in (0.0, 5.0):
        settings = CQLSettings(min_q_weight=weight, critic_learning_rate=0.01, num_actions=4)
        rule, module = make_rule(settings, (32, 32))
        columns = {
            "observations": torch.zeros(16, 4),
            "actions": torch.tensor([[1.5, 0.8]]).expand(16, 2),
            "rewards": torch.ones(16),
            "terminations": torch.ones(16),
        }
        for index in range(1, 150):
            rule.update(make_batch(settings, index, **columns), index)
        others = LOW + (HIGH - LOW) * torch.rand(200, 2, generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            data_value = module.critics[0](torch.zeros(1, 4), torch.tensor([[1.5, 0.8]]))
            preferences.append((data_value - module.critics[0](torch.zeros(200, 4), others).mean()).item())
    assert preferences[1] > preferences[0] + 1.0


def test_random_actions_are_uniform_over_the_action_space(make_rule: Any, make_batch: Any) -> None:
    settings = CQLSettings(num_actions=500)
    rule, _ = make_rule(settings)
    with torch.no_grad():
        actions, log_densities = rule._sampled_actions(make_batch(settings))
    uniform = ((actions[:500].reshape(-1, 2) - LOW) / (HIGH - LOW)).numpy()
    for joint in range(2):
        counts, _ = np.histogram(uniform[:, joint], bins=10, range=(0, 1))
        np.testing.assert_allclose(counts / counts.sum(), 0.1, atol=0.015)
    assert_close(log_densities[:500], torch.full((500, 16), math.log(0.25)))


def test_the_actor_clones_at_first_and_climbs_the_critics_afterwards(make_rule: Any, make_batch: Any) -> None:
    settings = CQLSettings(cloning_updates=3, initial_temperature=0.3)
    rule, module = make_rule(settings)
    batch = make_batch(settings)
    with torch.no_grad():
        actions, log_probs = module.policy.actor.sample(batch.observations, batch.noise[1])
        likelihoods = module.policy.actor.log_likelihood(batch.observations, batch.actions)
        values = torch.minimum(*(critic(batch.observations, actions) for critic in module.critics))
    for update_index, reward in ((1, likelihoods), (3, likelihoods), (4, values)):
        loss = rule._actor_loss(batch, actions, log_probs, update_index)
        assert_close(loss, (0.3 * log_probs - reward).mean())


@pytest.mark.slow
def test_a_cloning_actor_comes_to_do_what_the_data_do(make_rule: Any, make_batch: Any) -> None:
    settings = CQLSettings(actor_learning_rate=0.01, initial_temperature=0.01, num_actions=1)
    rule, module = make_rule(settings, (32, 32))
    columns = {"observations": torch.zeros(16, 4), "actions": torch.tensor([[1.5, 0.2]]).expand(16, 2)}
    for index in range(1, 300):
        rule.update(make_batch(settings, index, **columns), index)
    np.testing.assert_allclose(module.policy.act(np.zeros((1, 4), np.float32))[0], [1.5, 0.2], atol=0.1)


@pytest.mark.slow
def test_following_the_critics_it_takes_the_better_of_the_datas_actions_and_no_other(
    make_rule: Any, make_batch: Any
) -> None:
    """Half of the data does (−1, 0.5) for nothing, half (1, 0.5) for a reward of 1; nobody has tried the rest."""
    settings = CQLSettings(
        cloning_updates=0,
        num_actions=4,
        min_q_weight=1.0,
        initial_temperature=0.05,
        actor_learning_rate=0.01,
        critic_learning_rate=0.01,
        temperature_learning_rate=0.01,
        target_entropy=-4.0,
        tau=0.1,
    )
    rule, module = make_rule(settings, (32, 32))
    good = (torch.arange(16) % 2).float()
    columns = {
        "observations": torch.zeros(16, 4),
        "actions": torch.stack([2.0 * good - 1.0, torch.full((16,), 0.5)], dim=1),
        "rewards": good,
        "terminations": torch.ones(16),
    }
    for index in range(1, 500):
        rule.update(make_batch(settings, index, **columns), index)
    np.testing.assert_allclose(module.policy.act(np.zeros((1, 4), np.float32))[0], [1.0, 0.5], atol=0.25)
