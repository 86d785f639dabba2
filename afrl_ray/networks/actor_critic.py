"""Deterministic actor, critics and observation normaliser."""

import functools
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn


def multilayer_perceptron(
    input_size: int, hidden_sizes: Sequence[int], output_size: int, *, layer_norm: bool = False
) -> nn.Sequential:
    """Linear layers with ReLU between them, each normalised over its units first where `layer_norm` asks for it."""
    sizes = [input_size, *hidden_sizes]
    layers: list[nn.Module] = []
    for before, after in pairwise(sizes):
        layers += [nn.Linear(before, after), *([nn.LayerNorm(after)] if layer_norm else []), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, nn.Linear(sizes[-1], output_size))


Layer = Callable[[Tensor], Tensor]


def through(layers: Iterable[Layer], inputs: Tensor) -> Tensor:
    """`inputs` after all layers."""
    return functools.reduce(lambda values, layer: layer(values), layers, inputs)


def with_float32_output(layers: Iterable[Layer], inputs: Tensor) -> Tensor:
    """`layers(inputs)` in float32, whose last layer is computed in float32 under autocast too.

    bfloat16 rounds a value of 300 to a multiple of 2. Regression averages that out, but objectives that compare values
    with each other (advantages, soft maxima) or that are logarithms of densities would see little else.
    """
    *hidden_layers, output_layer = layers
    features = through(hidden_layers, inputs)
    with torch.autocast(features.device.type, enabled=False):
        return output_layer(features.float())


class ObservationNormalizer(nn.Module):
    """(s − mean) / std with fixed statistics; starts as the identity."""

    mean: Tensor  # (O,)
    std: Tensor  # (O,)

    def __init__(self, observation_size: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(observation_size))
        self.register_buffer("std", torch.ones(observation_size))

    def set_statistics(self, mean: ArrayLike, std: ArrayLike) -> None:
        """Copy `mean` and `std`, each (O,)."""
        self.mean.copy_(torch.as_tensor(np.asarray(mean), dtype=torch.float32))
        self.std.copy_(torch.as_tensor(np.asarray(std), dtype=torch.float32))

    def forward(self, observations: Tensor) -> Tensor:  # (batch, O) -> (batch, O)
        return (observations - self.mean) / self.std


class Actor(nn.Module):
    """Deterministic policy on normalised observations: centre + half range · tanh(mlp(s))."""

    outputs_per_joint: ClassVar[int] = 1
    action_center: Tensor  # (A,)
    action_half_range: Tensor  # (A,)

    def __init__(
        self, observation_size: int, action_low: ArrayLike, action_high: ArrayLike, hidden_sizes: Sequence[int]
    ) -> None:
        super().__init__()
        low, high = (torch.as_tensor(np.asarray(bound), dtype=torch.float32) for bound in (action_low, action_high))
        self.register_buffer("action_center", (high + low) / 2)
        self.register_buffer("action_half_range", (high - low) / 2)
        self.layers = multilayer_perceptron(observation_size, hidden_sizes, self.outputs_per_joint * len(low))

    def forward(self, observations: Tensor) -> Tensor:  # (batch, O) -> (batch, A), in the action space's units
        squashed = torch.tanh(self.layers(observations).float())
        return self.action_center + self.action_half_range * squashed


class Critic(nn.Module):
    """Q(s, a) on normalised observations and actions in the action space's units."""

    def __init__(
        self,
        observation_size: int,
        action_size: int,
        hidden_sizes: Sequence[int],
        *,
        layer_norm: bool = False,
        float32_output: bool = False,
    ) -> None:
        super().__init__()
        self.layers = multilayer_perceptron(observation_size + action_size, hidden_sizes, 1, layer_norm=layer_norm)
        self.float32_output = float32_output

    def forward(self, observations: Tensor, actions: Tensor) -> Tensor:  # (..., O) and (..., A) -> (...)
        inputs = torch.cat([observations, actions], dim=-1)
        values = with_float32_output(self.layers, inputs) if self.float32_output else self.layers(inputs)
        return values.squeeze(-1).float()


class StateValue(nn.Module):
    """V(s) on normalised observations."""

    def __init__(self, observation_size: int, hidden_sizes: Sequence[int]) -> None:
        super().__init__()
        self.layers = multilayer_perceptron(observation_size, hidden_sizes, 1)

    def forward(self, observations: Tensor) -> Tensor:  # (..., O) -> (...)
        return with_float32_output(self.layers, observations).squeeze(-1)
