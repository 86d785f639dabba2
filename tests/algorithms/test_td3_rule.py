"""One update at a time, of TD3 and of TD3+BC."""

from typing import Any

import pytest
import torch
from torch.testing import assert_close

from afrl_ray.algorithms.update_rule import Polyak
from afrl_ray.config import TD3BCSettings, TD3Settings

# ---- which networks move, and when -----------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", [TD3Settings(), TD3BCSettings()])
def test_actor_and_targets_move_every_second_update(
    settings: TD3Settings | TD3BCSettings, make_rule: Any, make_batch: Any, snapshot: Any, changed: Any
) -> None:
    rule, module = make_rule(settings)
    moved = []
    for index in range(1, 5):
        before = snapshot(module)
        metrics = rule.update(make_batch(settings, index), index)
        moved.append(changed(before, module))
        assert ("actor_loss" in metrics) == (index % 2 == 0)
    everything = {"actor", "critics", "target_actor", "target_critics"}
    assert moved == [{"critics"}, everything, {"critics"}, everything]


@pytest.mark.parametrize("delay", [1, 3])
def test_the_delay_is_a_setting(delay: int, make_rule: Any, make_batch: Any) -> None:
    settings = TD3Settings(policy_delay=delay)
    rule, _ = make_rule(settings)
    updates = [index for index in range(1, 10) if "actor_loss" in rule.update(make_batch(settings, index), index)]
    assert updates == list(range(delay, 10, delay))


def test_metrics_are_detached_scalars(make_rule: Any, make_batch: Any) -> None:
    settings = TD3Settings()
    rule, _ = make_rule(settings)
    rule.update(make_batch(settings), 1)
    metrics = rule.update(make_batch(settings), 2)
    assert metrics.keys() == {"critic_loss", "q_value_mean", "actor_loss"}
    assert all(value.shape == () and not value.requires_grad for value in metrics.values())


def test_the_actors_step_leaves_no_gradient_in_the_critics(make_rule: Any, make_batch: Any) -> None:
    settings = TD3Settings()
    rule, module = make_rule(settings)
    rule.update(make_batch(settings), 2)
    gradients = [parameter.grad for parameter in module.critics[1].parameters()]
    before = [gradient.clone() for gradient in gradients]
    rule._update_actor(make_batch(settings, 1))
    for gradient, old in zip(gradients, before, strict=True):
        assert_close(gradient, old)


# ---- the same numbers as written out ---------------------------------------------------------------------------------


def test_the_critics_follow_the_equations(make_rule: Any, make_batch: Any) -> None:
    settings = TD3Settings(target_noise=0.3, target_noise_clip=0.4, gamma=0.9)
    rule, module = make_rule(settings)
    batch = make_batch(settings)
    half_range, low, high = torch.tensor([2.0, 0.5]), torch.tensor([-2.0, 0.0]), torch.tensor([2.0, 1.0])
    with torch.no_grad():
        noise = torch.clamp(batch.noise[0] * 0.3 * half_range, -0.4 * half_range, 0.4 * half_range)
        next_actions = torch.clamp(module.target_actor(batch.next_observations) + noise, low, high)
        next_values = [critic(batch.next_observations, next_actions) for critic in module.target_critics]
        targets = batch.rewards + 0.9 * (1 - batch.terminations) * torch.minimum(*next_values)
        values = [critic(batch.observations, batch.actions) for critic in module.critics]
        expected = sum(((value - targets) ** 2).mean() for value in values)
    metrics = rule.update(batch, 1)
    assert_close(metrics["critic_loss"], expected)
    assert_close(metrics["q_value_mean"], values[0].mean())


def test_a_terminal_state_is_not_bootstrapped(make_rule: Any, make_batch: Any) -> None:
    settings, losses = TD3Settings(), []
    for scale in (1.0, 1000.0):  # whatever the next state's value
        rule, module = make_rule(settings)
        with torch.no_grad():
            for parameter in module.target_critics.parameters():
                parameter.mul_(scale)
        losses.append(rule.update(make_batch(settings, terminations=torch.ones(16)), 1)["critic_loss"])
    assert_close(losses[0], losses[1])


def test_the_actor_climbs_the_first_critic(make_rule: Any, make_batch: Any) -> None:
    """A step of plain gradient descent on −Q_1, by hand."""
    settings = TD3Settings()
    rule, module = make_rule(settings)
    batch = make_batch(settings)
    module.zero_grad()
    actor = module.policy.actor
    (-module.critics[0](batch.observations, actor(batch.observations)).mean()).backward()
    expected = [parameter.grad.clone() for parameter in actor.parameters()]
    rule._optimizers["actor"] = torch.optim.SGD(actor.parameters(), lr=0.0)
    rule._update_actor(batch)
    for parameter, gradient in zip(actor.parameters(), expected, strict=True):
        assert_close(parameter.grad, gradient)


def test_td3_bc_pulls_towards_the_data(make_rule: Any, make_batch: Any) -> None:
    """With a tiny weight on the values the actor only clones."""
    settings = TD3BCSettings(alpha=1e-9, actor_learning_rate=0.01, policy_delay=1)
    rule, module = make_rule(settings)
    batch = make_batch(settings)
    errors = []
    for index in range(1, 60):
        with torch.no_grad():
            errors.append((module.policy.actor(batch.observations) - batch.actions).square().mean().item())
        rule.update(batch, index)
    assert errors[-1] < 0.5 * errors[0]


def test_targets_move_by_tau_after_the_networks(make_rule: Any, make_batch: Any, snapshot: Any) -> None:
    settings = TD3Settings(tau=0.25)
    rule, module = make_rule(settings)
    before = snapshot(module)
    rule.update(make_batch(settings), 2)
    after = snapshot(module)
    for name, tensor in after.items():
        if name.startswith("target_") and not name.endswith(("action_center", "action_half_range")):
            source = name.removeprefix("target_")
            source = f"policy.{source}" if source.startswith("actor") else source
            assert_close(tensor, before[name] + 0.25 * (after[source] - before[name]))


def test_polyak_averages() -> None:
    target, source = torch.tensor([1.0, 2.0]), torch.tensor([3.0, -2.0])
    move = Polyak([target], [source], 0.25)
    move()
    assert_close(target, torch.tensor([1.5, 1.0]))
    move()
    assert_close(target, torch.tensor([1.875, 0.25]))
