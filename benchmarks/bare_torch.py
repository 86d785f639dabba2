"""The same updates with nothing around them: the speed that PyTorch itself allows.

A plain loop as one would write it to be fast: uniform batches from one tensor of packed rows, fused Adam, one fused
call to move the targets, gradients only where they are used. No environment, no metrics, no checkpoints.
"""

import copy
import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

GAMMA, TAU, POLICY_DELAY = 0.99, 0.005, 2
TARGET_NOISE, TARGET_NOISE_CLIP, ALPHA = 0.2, 0.5, 2.5
LEARNING_RATE = 3e-4


class BareTwinDelayed:
    """TD3, or TD3+BC, on random transitions with actions in [-1, 1]."""

    def __init__(
        self,
        observation_size: int,
        action_size: int,
        *,
        behaviour_cloning: bool,
        hidden_sizes: Sequence[int],
        batch_size: int,
        num_rows: int = 100_000,
        mixed_precision: bool = False,
    ) -> None:
        torch.manual_seed(0)
        self._sizes = [observation_size, action_size, 1, observation_size, 1]
        self._rows = torch.randn(num_rows, sum(self._sizes))
        self._rows[:, observation_size : observation_size + action_size].clamp_(-1, 1)
        self._rows[:, -1] = 0.0
        self._behaviour_cloning = behaviour_cloning
        self._batch_size = batch_size
        self._mixed_precision = mixed_precision
        self._actor = _perceptron(observation_size, hidden_sizes, action_size, nn.Tanh())
        self._critics = nn.ModuleList(_perceptron(observation_size + action_size, hidden_sizes, 1) for _ in range(2))
        self._actor_parameters = list(self._actor.parameters())
        self._critic_parameters = list(self._critics.parameters())
        self._target_actor = copy.deepcopy(self._actor).requires_grad_(False)
        self._target_critics = copy.deepcopy(self._critics).requires_grad_(False)
        self._targets = [*self._target_actor.parameters(), *self._target_critics.parameters()]
        self._sources = [*self._actor_parameters, *self._critic_parameters]
        self._actor_optimizer = torch.optim.Adam(self._actor_parameters, lr=LEARNING_RATE, fused=True)
        self._critic_optimizer = torch.optim.Adam(self._critic_parameters, lr=LEARNING_RATE, fused=True)
        self._num_updates = 0

    def advance(self, updates: int) -> int:
        for _ in range(updates):
            with torch.autocast("cpu", torch.bfloat16, enabled=self._mixed_precision):  # weights are cast once in it
                self._update()
        return updates

    def _update(self) -> None:
        self._num_updates += 1
        indices = torch.randint(len(self._rows), (self._batch_size,))
        columns = self._rows.index_select(0, indices).split(self._sizes, dim=1)
        observations, actions, rewards, next_observations, terminations = columns
        with torch.no_grad():
            noise = (torch.randn_like(actions) * TARGET_NOISE).clamp_(-TARGET_NOISE_CLIP, TARGET_NOISE_CLIP)
            next_actions = (self._target_actor(next_observations) + noise).clamp_(-1, 1)
            next_inputs = torch.cat([next_observations, next_actions], dim=1)
            next_values = torch.minimum(*(critic(next_inputs) for critic in self._target_critics))
            targets = rewards + GAMMA * (1 - terminations) * next_values  # (batch, 1)
        inputs = torch.cat([observations, actions], dim=1)
        critic_loss = sum(functional.mse_loss(critic(inputs), targets) for critic in self._critics)
        _minimize(critic_loss, self._critic_optimizer, self._critic_parameters)
        if self._num_updates % POLICY_DELAY == 0:
            _minimize(self._actor_loss(observations, actions), self._actor_optimizer, self._actor_parameters)
            with torch.no_grad():
                torch._foreach_lerp_(self._targets, self._sources, TAU)

    def _actor_loss(self, observations: Tensor, actions: Tensor) -> Tensor:
        chosen = self._actor(observations)
        values = self._critics[0](torch.cat([observations, chosen], dim=1))
        if not self._behaviour_cloning:
            return -values.mean()
        weight = ALPHA / values.detach().abs().mean()
        return -weight * values.mean() + functional.mse_loss(chosen, actions)


def _perceptron(input_size: int, hidden_sizes: Sequence[int], output_size: int, *last: nn.Module) -> nn.Sequential:
    sizes = [input_size, *hidden_sizes]
    layers: list[nn.Module] = []
    for before, after in itertools.pairwise(sizes):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(sizes[-1], output_size), *last)


def _minimize(loss: Tensor, optimizer: torch.optim.Optimizer, parameters: list[nn.Parameter]) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss.backward(inputs=parameters)
    optimizer.step()
