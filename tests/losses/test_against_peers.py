"""Our losses and networks against those of d3rlpy and Stable-Baselines3, on one batch and with equal weights.

The peers are no part of the development environment: benchmarks/requirements.txt installs them.
"""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from afrl_ray.losses import sac, td3, td3_bc
from afrl_ray.networks import Actor, Critic, SeparateCritics, multilayer_perceptron
from afrl_ray.networks.gaussian import sample_squashed

pytestmark = pytest.mark.long

ROWS, OBSERVATIONS, ACTIONS, HIDDEN = 64, 5, 2, (16, 16)
GAMMA = 0.97
LOW, HIGH = -np.ones(ACTIONS, np.float32), np.ones(ACTIONS, np.float32)


@pytest.fixture
def batch() -> SimpleNamespace:
    torch.manual_seed(0)
    return SimpleNamespace(
        observations=torch.randn(ROWS, OBSERVATIONS),
        actions=torch.rand(ROWS, ACTIONS) * 2 - 1,
        rewards=torch.randn(ROWS, 1),
        next_observations=torch.randn(ROWS, OBSERVATIONS),
        terminals=(torch.rand(ROWS, 1) < 0.3).float(),
        intervals=torch.ones(ROWS, 1),
        device="cpu",
    )


def copied(theirs: nn.Module, ours: Any) -> Any:
    """`ours` with the linear layers of `theirs`."""
    layers = [[part for part in module.modules() if isinstance(part, nn.Linear)] for module in (theirs, ours)]
    for their_layer, our_layer in zip(*layers, strict=True):
        our_layer.load_state_dict(their_layer.state_dict())
    return ours


def critics_of(networks: Any) -> SeparateCritics:
    return SeparateCritics(copied(network, Critic(OBSERVATIONS, ACTIONS, HIDDEN)) for network in networks)


def gradients(loss: Tensor, network: nn.Module) -> list[Tensor]:
    return list(torch.autograd.grad(loss, list(network.parameters()), retain_graph=True))


def test_td3_bc_is_d3rlpys(batch: SimpleNamespace) -> None:
    d3rlpy = pytest.importorskip("d3rlpy")
    encoder = d3rlpy.models.VectorEncoderFactory(list(HIDDEN))
    algorithm = d3rlpy.algos.TD3PlusBCConfig(
        gamma=GAMMA, actor_encoder_factory=encoder, critic_encoder_factory=encoder, target_smoothing_sigma=0.0
    ).create(device=False)
    algorithm.create_impl((OBSERVATIONS,), ACTIONS)
    theirs, modules = algorithm.impl, algorithm.impl.modules
    actor, target_actor = (
        copied(network, Actor(OBSERVATIONS, LOW, HIGH, HIDDEN)) for network in (modules.policy, modules.targ_policy)
    )
    critics, target_critics = critics_of(modules.q_funcs), critics_of(modules.targ_q_funcs)

    their_targets = theirs.compute_target(batch)
    their_loss = theirs.compute_critic_loss(batch, their_targets).critic_loss
    next_q_values = target_critics(batch.next_observations, target_actor(batch.next_observations))
    assert_close(next_q_values.amin(dim=0), their_targets.squeeze(1))
    targets = td3.clipped_double_q_target(batch.rewards[:, 0], batch.terminals[:, 0], next_q_values, GAMMA)
    loss = td3.critic_loss(critics(batch.observations, batch.actions), targets).loss
    assert_close(loss, their_loss)
    assert_close(gradients(loss, critics[1]), gradients(their_loss, modules.q_funcs[1]))

    their_actor_loss = theirs.compute_actor_loss(batch, modules.policy(batch.observations)).actor_loss
    actions = actor(batch.observations)
    actor_loss = td3_bc.actor_loss(critics[0](batch.observations, actions), actions, batch.actions, 2.5).loss
    assert_close(actor_loss, their_actor_loss)
    assert_close(gradients(actor_loss, actor), gradients(their_actor_loss, modules.policy))


def test_sac_is_stable_baselines3s_but_for_the_temperatures_factor(
    batch: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their learning rate is 0 here, so that all their losses are of the same networks."""
    peer = pytest.importorskip("stable_baselines3")
    from gymnasium import Env, spaces

    class Robot(Env):  # type: ignore[misc,type-arg]
        observation_space = spaces.Box(-np.inf, np.inf, (OBSERVATIONS,), np.float32)
        action_space = spaces.Box(LOW, HIGH)

    network = {"net_arch": list(HIDDEN)}
    theirs = peer.SAC(
        "MlpPolicy", Robot(), learning_rate=0.0, gamma=GAMMA, ent_coef="auto_0.2", policy_kwargs=network, device="cpu"
    )
    drawn = SimpleNamespace(**vars(batch), dones=batch.terminals, discounts=None)
    monkeypatch.setattr(theirs.replay_buffer, "sample", lambda *_, **__: drawn)
    logged: dict[str, float] = {}
    theirs.set_logger(SimpleNamespace(record=lambda name, value, **_: logged.update({name: value})))
    torch.manual_seed(1)
    theirs.train(gradient_steps=1, batch_size=ROWS)

    torch.manual_seed(1)
    noise, next_noise = (torch.normal(torch.zeros(ROWS, ACTIONS), torch.ones(ROWS, ACTIONS)) for _ in range(2))
    body = copied(theirs.actor, _TwoHeads())
    critics, target_critics = critics_of(theirs.critic.q_networks), critics_of(theirs.critic_target.q_networks)
    temperature = torch.tensor(0.2)
    actions, log_probs = sample_squashed(*body(batch.observations), noise)
    next_actions, next_log_probs = sample_squashed(*body(batch.next_observations), next_noise)
    targets = sac.soft_q_target(
        batch.rewards[:, 0],
        batch.terminals[:, 0],
        target_critics(batch.next_observations, next_actions),
        next_log_probs,
        temperature,
        GAMMA,
    )
    critic_loss = td3.critic_loss(critics(batch.observations, batch.actions), targets).loss
    actor_loss = sac.actor_loss(critics(batch.observations, actions), log_probs, temperature).loss
    temperature_loss = sac.temperature_loss(temperature.log(), log_probs, -float(ACTIONS))
    assert 0.5 * critic_loss.item() == pytest.approx(logged["train/critic_loss"], rel=1e-4)
    assert actor_loss.item() == pytest.approx(logged["train/actor_loss"], rel=1e-4)
    expected = logged["train/ent_coef_loss"] / np.log(0.2) * 0.2  # theirs has log α where ours has α
    assert temperature_loss.item() == pytest.approx(expected, rel=1e-4)


class _TwoHeads(nn.Module):
    """Means and clipped log standard deviations as Stable-Baselines3 has them."""

    def __init__(self) -> None:
        super().__init__()
        self.body = multilayer_perceptron(OBSERVATIONS, HIDDEN[:-1], HIDDEN[-1])
        self.heads = nn.ModuleList(nn.Linear(HIDDEN[-1], ACTIONS) for _ in range(2))

    def forward(self, observations: Tensor) -> tuple[Tensor, Tensor]:
        features = self.body(observations).relu()
        return self.heads[0](features), self.heads[1](features).clamp(-20, 2)
