"""bfloat16 matrix products: every algorithm learns the same with them, and keeps everything in float32."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.testing import assert_close

from afrl_ray.algorithms import CONFIGS
from afrl_ray.algorithms.precision import matrix_product_precision
from afrl_ray.config import IQLSettings, OffPolicySettings, TD3Settings
from afrl_ray.losses import td3

CPU = torch.device("cpu")


@pytest.fixture(params=CONFIGS)
def settings(request: pytest.FixtureRequest) -> OffPolicySettings:
    return request.param()  # type: ignore[no-any-return]


@pytest.fixture
def losses_with(settings: OffPolicySettings, make_rule: Any, make_batch: Any) -> Callable[[Any], dict[str, float]]:
    """What an update of critics and actor returns, by the mode of its precision."""

    def losses(mode: Any) -> dict[str, float]:
        rule, module = make_rule(settings, (64, 64))
        with matrix_product_precision(mode, CPU):
            metrics = rule.update(make_batch(settings), 2)
        assert "actor_loss" in metrics
        assert all(value.dtype == torch.float32 for value in metrics.values())
        assert all(parameter.dtype == torch.float32 for parameter in module.parameters())
        assert all(parameter.grad.dtype == torch.float32 for parameter in module.critics.parameters())
        return {name: value.item() for name, value in metrics.items()}

    return losses


def test_bfloat16_products_give_close_losses_and_leave_weights_float32(losses_with: Any) -> None:
    exact, rounded = losses_with("off"), losses_with("on")
    assert rounded == pytest.approx(exact, rel=0.02, abs=0.01)
    assert rounded != exact


def test_auto_is_one_of_the_two(losses_with: Any) -> None:
    assert losses_with("auto") in (losses_with("on"), losses_with("off"))


def test_iqls_advantages_survive_where_values_are_large(make_rule: Any, make_batch: Any) -> None:
    """With values around 300, as Hopper's, the weights of the actions must not be rounding errors."""
    settings = IQLSettings(max_advantage_weight=1e9)
    means = {}
    for mode in ("off", "on"):
        rule, module = make_rule(settings, (64, 64))
        with torch.no_grad():
            for network in (*module.target_critics, module.state_value):
                network.layers[-1].bias.fill_(300.3)
        with matrix_product_precision(mode, CPU):
            means[mode] = rule.update(make_batch(settings), 1)["advantage_weight_mean"].item()
    assert means["on"] == pytest.approx(means["off"], rel=0.02)


def test_td3s_actor_climbs_the_critic_as_it_is_after_its_step(make_rule: Any, make_batch: Any) -> None:
    """Autocast keeps rounded copies of weights: a copy from before the critics' step must not steer the actor."""
    settings = TD3Settings(critic_learning_rate=1.0)  # a step that nobody can overlook
    rule, module = make_rule(settings)
    batch = make_batch(settings)
    with matrix_product_precision("on", CPU):
        loss = rule.update(batch, 2)["actor_loss"]
    _, before = make_rule(settings)
    with torch.no_grad():
        actions = before.policy.actor(batch.observations)
        after_step = td3.actor_loss(module.critics[0](batch.observations, actions)).loss
        before_step = td3.actor_loss(before.critics[0](batch.observations, actions)).loss
    assert abs(after_step - before_step) > 1.0
    assert_close(loss, after_step, rtol=0.05, atol=0.05)
