"""One update at a time, on a module of tiny networks: no Ray, no environment."""

from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box
from torch.testing import assert_close

from afrl_ray.algorithms.precision import matrix_product_precision
from afrl_ray.algorithms.rl_module import ActorCriticModule
from afrl_ray.algorithms.td3 import TD3Rule, TwinDelayedRule
from afrl_ray.algorithms.td3_bc import TD3BCRule
from afrl_ray.algorithms.update_rule import Batch, Polyak
from afrl_ray.config import TD3BCSettings, TD3Settings
from afrl_ray.losses import td3

OBSERVATIONS, ACTIONS, ROWS = 4, 2, 16
CPU = torch.device("cpu")
Tensors = dict[str, torch.Tensor]


def make_rule(settings: TD3Settings | TD3BCSettings, hidden_sizes: tuple[int, ...] = (8, 8)) -> Any:
    """The rule of `settings`, its module's weights drawn from seed 0."""
    torch.manual_seed(0)
    module = ActorCriticModule(
        observation_space=Box(-np.inf, np.inf, (OBSERVATIONS,), np.float32),
        action_space=Box(np.array([-2.0, 0.0], np.float32), np.array([2.0, 1.0], np.float32)),
        model_config={
            "hidden_sizes": hidden_sizes,
            "num_critics": 2,
            "policy_average": getattr(settings, "policy_average_decay", 0.0) > 0,
        },
    )
    rule_class: type[TwinDelayedRule] = TD3Rule if isinstance(settings, TD3Settings) else TD3BCRule
    rule = rule_class(module, settings, rule_class.optimizers(module, settings))
    return rule, module


def make_batch(seed: int = 0, terminated: float | None = None) -> Batch:
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator)

    terminations = (torch.rand(ROWS, generator=generator) < 0.3).float()
    return Batch(
        observations=normal(ROWS, OBSERVATIONS),
        actions=normal(ROWS, ACTIONS).clamp(0, 1),
        rewards=normal(ROWS),
        next_observations=normal(ROWS, OBSERVATIONS),
        terminations=terminations if terminated is None else torch.full((ROWS,), terminated),
        noise=normal(1, ROWS, ACTIONS),
    )


def snapshot(module: ActorCriticModule) -> Tensors:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def changed(before: Tensors, after: Tensors) -> set[str]:
    """The networks, by their first name, that differ."""
    networks = {
        name.removeprefix("policy.").split(".")[0] for name in before if not torch.equal(before[name], after[name])
    }
    assert "normalizer" not in networks
    return networks


# ---- which networks move, and when -----------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", [TD3Settings(), TD3BCSettings()])
def test_actor_and_targets_move_every_second_update(settings: TD3Settings | TD3BCSettings) -> None:
    rule, module = make_rule(settings)
    moved = []
    for index in range(1, 5):
        before = snapshot(module)
        metrics = rule.update(make_batch(index), index)
        moved.append(changed(before, snapshot(module)))
        assert ("actor_loss" in metrics) == (index % 2 == 0)
    everything = {"actor", "critics", "target_actor", "target_critics"}
    assert moved == [{"critics"}, everything, {"critics"}, everything]


@pytest.mark.parametrize("delay", [1, 3])
def test_the_delay_is_a_setting(delay: int) -> None:
    rule, _ = make_rule(TD3Settings(policy_delay=delay))
    updates = [index for index in range(1, 10) if "actor_loss" in rule.update(make_batch(index), index)]
    assert updates == list(range(delay, 10, delay))


@pytest.mark.parametrize(("critic_only", "first"), [(0, 2), (1, 2), (2, 4), (5, 6), (6, 8)])
def test_the_actor_is_left_alone_for_the_first_updates(critic_only: int, first: int) -> None:
    rule, module = make_rule(TD3Settings(critic_only_updates=critic_only))
    start = snapshot(module)
    for index in range(1, 9):
        before = snapshot(module)
        metrics = rule.update(make_batch(index), index)
        moved = changed(before, snapshot(module))
        assert "critics" in moved
        assert ("target_critics" in moved) == (index % 2 == 0)
        assert ("actor" in moved) == ("actor_loss" in metrics) == (index % 2 == 0 and index >= first)
        if index < first:
            assert not {"actor", "target_actor"} & changed(start, snapshot(module))


def test_metrics_are_detached_scalars() -> None:
    rule, _ = make_rule(TD3Settings())
    rule.update(make_batch(), 1)
    metrics = rule.update(make_batch(), 2)
    assert metrics.keys() == {"critic_loss", "q_value_mean", "actor_loss"}
    assert all(value.shape == () and not value.requires_grad for value in metrics.values())


def test_the_actors_step_leaves_no_gradient_in_the_critics() -> None:
    rule, module = make_rule(TD3Settings())
    rule.update(make_batch(), 2)
    gradients = [parameter.grad for parameter in module.critics[1].parameters()]
    before = [gradient.clone() for gradient in gradients]
    rule._update_actor(make_batch(1))
    for gradient, old in zip(gradients, before, strict=True):
        assert_close(gradient, old)


# ---- the same numbers as written out ---------------------------------------------------------------------------------


def test_the_critics_follow_the_equations() -> None:
    settings = TD3Settings(target_noise=0.3, target_noise_clip=0.4, gamma=0.9)
    rule, module = make_rule(settings)
    batch = make_batch()
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


def test_a_terminal_state_is_not_bootstrapped() -> None:
    losses = []
    for scale in (1.0, 1000.0):  # whatever the next state's value
        rule, module = make_rule(TD3Settings())
        with torch.no_grad():
            for parameter in module.target_critics.parameters():
                parameter.mul_(scale)
        losses.append(rule.update(make_batch(terminated=1.0), 1)["critic_loss"])
    assert_close(losses[0], losses[1])


def test_the_actor_climbs_the_first_critic() -> None:
    """A step of plain gradient descent on −Q_1, by hand."""
    rule, module = make_rule(TD3Settings())
    batch = make_batch()
    module.zero_grad()
    actor = module.policy.actor
    (-module.critics[0](batch.observations, actor(batch.observations)).mean()).backward()
    expected = [parameter.grad.clone() for parameter in actor.parameters()]
    rule._optimizers["actor"] = torch.optim.SGD(actor.parameters(), lr=0.0)
    rule._update_actor(batch)
    for parameter, gradient in zip(actor.parameters(), expected, strict=True):
        assert_close(parameter.grad, gradient)


def test_targets_move_by_tau_after_the_networks() -> None:
    rule, module = make_rule(TD3Settings(tau=0.25))
    before = snapshot(module)
    rule.update(make_batch(), 2)
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


# ---- options of the hand-over ----------------------------------------------------------------------------------------


def actor_gradient(settings: TD3Settings, critic_scale: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
    """The actor's first gradient, and mean|Q_1(s, π(s))|."""
    rule, module = make_rule(settings)
    batch = make_batch()
    with torch.no_grad():
        for parameter in module.critics[0].layers[-1].parameters():
            parameter.mul_(critic_scale)
        scale = module.critics[0](batch.observations, module.policy.actor(batch.observations)).abs().mean()
    rule._update_actor(batch)
    return torch.cat([parameter.grad.flatten() for parameter in module.policy.actor.parameters()]), scale


def test_a_normalised_actor_loss_divides_the_gradient_by_the_values_scale() -> None:
    plain, scale = actor_gradient(TD3Settings())
    normalised, _ = actor_gradient(TD3Settings(normalize_actor_loss=True))
    assert_close(normalised, plain / scale)


def test_a_normalised_actor_loss_does_not_care_for_the_rewards_unit() -> None:
    settings = TD3Settings(normalize_actor_loss=True)
    assert_close(actor_gradient(settings)[0], actor_gradient(settings, critic_scale=100.0)[0])


@pytest.mark.parametrize("normalize", [False, True])
def test_a_kept_cloning_term_is_that_of_td3_bc(normalize: bool) -> None:
    losses = []
    for settings in (TD3Settings(bc_alpha=1.5, normalize_actor_loss=normalize), TD3BCSettings(alpha=1.5)):
        rule, module = make_rule(settings)
        losses.append((rule.update(make_batch(), 2)["actor_loss"], [*module.policy.actor.parameters()]))
    assert_close(losses[0], losses[1])
    assert make_rule(TD3Settings())[0].update(make_batch(), 2)["actor_loss"] != losses[0][0]


def test_td3_bc_pulls_towards_the_data() -> None:
    """With a tiny weight on the values the actor only clones."""
    settings = TD3BCSettings(alpha=1e-9, actor_learning_rate=0.01, policy_delay=1)
    rule, module = make_rule(settings)
    batch = make_batch()
    errors = []
    for index in range(1, 60):
        with torch.no_grad():
            errors.append((module.policy.actor(batch.observations) - batch.actions).square().mean().item())
        rule.update(batch, index)
    assert errors[-1] < 0.5 * errors[0]


def test_the_average_policy_follows_the_actor_with_its_decay() -> None:
    rule, module = make_rule(TD3Settings(policy_average_decay=0.9))
    assert module.keeps_average
    average = [parameter.clone() for parameter in module.average_actor.parameters()]
    for parameter, actor_parameter in zip(average, module.policy.actor.parameters(), strict=True):
        assert torch.equal(parameter, actor_parameter)  # it starts at the actor
    for index in range(1, 7):
        rule.update(make_batch(index), index)
        if index % 2 == 0:  # one step per update of the actor
            average = [0.9 * a + 0.1 * b for a, b in zip(average, module.policy.actor.parameters(), strict=True)]
    for parameter, expected in zip(module.average_actor.parameters(), average, strict=True):
        assert_close(parameter, expected)


def test_the_average_is_what_is_evaluated() -> None:
    rule, module = make_rule(TD3Settings(policy_average_decay=0.9))
    for index in range(1, 7):
        rule.update(make_batch(index), index)
    observations = np.random.default_rng(0).normal(size=(5, OBSERVATIONS)).astype(np.float32)
    evaluated = module.evaluation_policy()
    with torch.no_grad():
        expected = module.average_actor(torch.from_numpy(observations)).numpy()
    np.testing.assert_array_equal(evaluated.act(observations), expected)
    assert not np.array_equal(module.policy.act(observations), expected)


def test_without_an_average_the_actor_is_evaluated_in_a_copy_of_its_own() -> None:
    rule, module = make_rule(TD3Settings())
    policy = module.evaluation_policy()
    assert policy.fingerprint() == module.policy.fingerprint()
    rule.update(make_batch(), 2)
    assert policy.fingerprint() != module.policy.fingerprint()
    assert not any(parameter.requires_grad for parameter in policy.parameters())


# ---- precision -------------------------------------------------------------------------------------------------------


def losses_with(mode: Any) -> dict[str, float]:
    rule, module = make_rule(TD3Settings(), hidden_sizes=(64, 64))
    with matrix_product_precision(mode, CPU):
        metrics = rule.update(make_batch(), 2)
    assert all(parameter.dtype == torch.float32 for parameter in module.parameters())
    assert all(parameter.grad.dtype == torch.float32 for parameter in module.critics.parameters())
    return {name: value.item() for name, value in metrics.items()}


def test_bfloat16_products_give_close_losses() -> None:
    exact, rounded = losses_with("off"), losses_with("on")
    assert rounded == pytest.approx(exact, rel=0.02, abs=0.01)
    assert rounded != exact


def test_auto_is_one_of_the_two() -> None:
    assert losses_with("auto") in (losses_with("on"), losses_with("off"))


def test_the_actor_climbs_the_critic_as_it_is_after_its_step_in_bfloat16_too() -> None:
    """Autocast keeps rounded copies of weights: a copy from before the critics' step must not steer the actor."""
    settings = TD3Settings(critic_learning_rate=1.0)  # a step that nobody can overlook
    rule, module = make_rule(settings)
    batch = make_batch()
    with matrix_product_precision("on", CPU):
        loss = rule.update(batch, 2)["actor_loss"]
    _, before = make_rule(settings)
    with torch.no_grad():
        actions = before.policy.actor(batch.observations)
        after_step = td3.actor_loss(module.critics[0](batch.observations, actions)).loss
        before_step = td3.actor_loss(before.critics[0](batch.observations, actions)).loss
    assert abs(after_step - before_step) > 1.0
    assert_close(loss, after_step, rtol=0.05, atol=0.05)
