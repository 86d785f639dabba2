"""What TD3 may do differently when it takes over an offline policy, one update at a time."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from afrl_ray.config import TD3BCSettings, TD3Settings


@pytest.mark.parametrize(("critic_only", "first"), [(0, 2), (1, 2), (2, 4), (5, 6), (6, 8)])
def test_the_actor_is_left_alone_for_the_first_updates(
    critic_only: int, first: int, make_rule: Any, make_batch: Any, snapshot: Any, changed: Any
) -> None:
    settings = TD3Settings(critic_only_updates=critic_only)
    rule, module = make_rule(settings)
    start = snapshot(module)
    for index in range(1, 9):
        before = snapshot(module)
        metrics = rule.update(make_batch(settings, index), index)
        moved = changed(before, module)
        assert "critics" in moved
        assert "normalizer" not in moved
        assert ("target_critics" in moved) == (index % 2 == 0)
        assert ("actor" in moved) == ("actor_loss" in metrics) == (index % 2 == 0 and index >= first)
        if index < first:
            assert not {"actor", "target_actor"} & changed(start, module)


# ---- the actor's objective -------------------------------------------------------------------------------------------


@pytest.fixture
def actor_gradient(make_rule: Any, make_batch: Any) -> Callable[..., tuple[torch.Tensor, torch.Tensor]]:
    """The actor's first gradient, and mean|Q_1(s, π(s))|, of some settings."""

    def gradient(settings: TD3Settings, critic_scale: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
        rule, module = make_rule(settings)
        batch = make_batch(settings)
        with torch.no_grad():
            for parameter in module.critics[0].layers[-1].parameters():
                parameter.mul_(critic_scale)
            scale = module.critics[0](batch.observations, module.policy.actor(batch.observations)).abs().mean()
        rule._update_actor(batch)
        return torch.cat([parameter.grad.flatten() for parameter in module.policy.actor.parameters()]), scale

    return gradient


def test_a_normalised_actor_loss_divides_the_gradient_by_the_values_scale(actor_gradient: Any) -> None:
    plain, scale = actor_gradient(TD3Settings())
    normalised, _ = actor_gradient(TD3Settings(normalize_actor_loss=True))
    assert_close(normalised, plain / scale)


def test_a_normalised_actor_loss_does_not_care_for_the_rewards_unit(actor_gradient: Any) -> None:
    settings = TD3Settings(normalize_actor_loss=True)
    assert_close(actor_gradient(settings)[0], actor_gradient(settings, critic_scale=100.0)[0])


@pytest.mark.parametrize("normalize", [False, True])
def test_a_kept_cloning_term_is_that_of_td3_bc(normalize: bool, make_rule: Any, make_batch: Any) -> None:
    losses = []
    for settings in (TD3Settings(bc_alpha=1.5, normalize_actor_loss=normalize), TD3BCSettings(alpha=1.5)):
        rule, module = make_rule(settings)
        losses.append((rule.update(make_batch(settings), 2)["actor_loss"], [*module.policy.actor.parameters()]))
    assert_close(losses[0], losses[1])
    plain = TD3Settings()
    assert make_rule(plain)[0].update(make_batch(plain), 2)["actor_loss"] != losses[0][0]


# ---- the average policy ----------------------------------------------------------------------------------------------


def test_the_average_policy_follows_the_actor_with_its_decay(make_rule: Any, make_batch: Any) -> None:
    settings = TD3Settings(policy_average_decay=0.9)
    rule, module = make_rule(settings)
    assert module.keeps_average
    average = [parameter.clone() for parameter in module.average_actor.parameters()]
    for parameter, actor_parameter in zip(average, module.policy.actor.parameters(), strict=True):
        assert torch.equal(parameter, actor_parameter)  # it starts at the actor
    for index in range(1, 7):
        rule.update(make_batch(settings, index), index)
        if index % 2 == 0:  # one step per update of the actor
            average = [0.9 * a + 0.1 * b for a, b in zip(average, module.policy.actor.parameters(), strict=True)]
    for parameter, expected in zip(module.average_actor.parameters(), average, strict=True):
        assert_close(parameter, expected)


def test_the_average_is_what_is_evaluated(make_rule: Any, make_batch: Any) -> None:
    settings = TD3Settings(policy_average_decay=0.9)
    rule, module = make_rule(settings)
    for index in range(1, 7):
        rule.update(make_batch(settings, index), index)
    observations = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    evaluated = module.evaluation_policy()
    with torch.no_grad():
        expected = module.average_actor(torch.from_numpy(observations)).numpy()
    np.testing.assert_array_equal(evaluated.act(observations), expected)
    assert not np.array_equal(module.policy.act(observations), expected)


def test_without_an_average_the_actor_is_evaluated_in_a_copy_of_its_own(make_rule: Any, make_batch: Any) -> None:
    settings = TD3Settings()
    rule, module = make_rule(settings)
    policy = module.evaluation_policy()
    assert policy.fingerprint() == module.policy.fingerprint()
    rule.update(make_batch(settings), 2)
    assert policy.fingerprint() != module.policy.fingerprint()
    assert not any(parameter.requires_grad for parameter in policy.parameters())
