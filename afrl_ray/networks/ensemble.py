"""Any number of critics as one module; more than two have stacked parameters and batched products."""

import copy
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from afrl_ray.networks.actor_critic import Critic, through, with_float32_output

_MOST_IN_TURN = 2
"""The published figures were made with two critics in turn; batched ones give the same values to rounding only."""


class SeparateCritics(nn.ModuleList):
    """Critics that are computed one after the other."""

    def forward(self, observations: Tensor, actions: Tensor, members: Sequence[int] | None = None) -> Tensor:
        """Values (len(members), ...) of observations (..., O) and actions (..., A); of all critics without `members`.

        Observations are normalised, actions in the action space's units.
        """
        chosen = self if members is None else [self[member] for member in members]
        return torch.stack([critic(observations, actions) for critic in chosen])


class BatchedCritics(nn.Module):
    """Critics of one shape with stacked parameters.

    On a GPU and in mixed precision, each layer of all critics is one batched product. A layer's weights are one
    parameter (num_critics, in, out), its biases another (num_critics, 1, out). In `state_dict`, and by index, each
    critic has tensors of its own, with the names that it has in `SeparateCritics`.
    """

    def __init__(self, critics: Sequence[Critic]) -> None:
        super().__init__()
        self._size = len(critics)
        for name, _ in critics[0].named_parameters():
            tensors = [critic.get_parameter(name).detach() for critic in critics]
            stacked = torch.stack([one.t() if one.dim() == 2 else one.unsqueeze(0) for one in tensors])
            self.register_parameter(_stacked(name), nn.Parameter(stacked.contiguous()))
        self._shape = (copy.deepcopy(critics[0]).to("meta"),)  # no module of ours in torch's eyes, so in a tuple

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, index: int) -> Critic:
        """One critic, to be read: its parameters are views of ours, and their gradients are not ours."""
        critic = copy.deepcopy(self._shape[0])
        critic.load_state_dict(dict(self._views(index)), assign=True)
        return critic

    def forward(self, observations: Tensor, actions: Tensor, members: Sequence[int] | None = None) -> Tensor:
        """As `SeparateCritics` computes it, to rounding."""
        inputs = torch.cat([observations, actions], dim=-1)
        flat = inputs.reshape(-1, inputs.shape[-1])
        stacked = [tensor if members is None else tensor[members] for tensor in self.parameters()]
        # what one critic computes in float32 stays in a processor's cache, what ten compute does not
        at_once = 1 if flat.is_cpu and not torch.is_autocast_enabled("cpu") else len(stacked[0])
        parts = zip(*(torch.split(tensor, at_once) for tensor in stacked), strict=True)
        return torch.cat([self._values(part, flat) for part in parts]).view(-1, *inputs.shape[:-1])

    def _values(self, tensors: Sequence[Tensor], inputs: Tensor) -> Tensor:
        """Values (n, batch, 1) that `n` critics give to inputs (batch, O + A), from the parameters that they have."""
        [shape] = self._shape
        weights, biases = iter(tensors[::2]), iter(tensors[1::2])
        layers = [
            layer if isinstance(layer, nn.ReLU) else partial(_batched, layer, next(weights), next(biases))
            for layer in shape.layers
        ]
        inputs = inputs.expand(len(tensors[0]), -1, -1)
        return (with_float32_output(layers, inputs) if shape.float32_output else through(layers, inputs)).float()

    def _views(self, index: int) -> Iterator[tuple[str, Tensor]]:
        """The tensors of one critic by name, which share memory with the stacked ones."""
        for name, tensor in self._shape[0].named_parameters():
            view = getattr(self, _stacked(name)).detach()[index]
            yield name, view.t() if tensor.dim() == 2 else view[0]

    def _named_views(self, prefix: str) -> dict[str, Tensor]:
        return {f"{prefix}{index}.{name}": view for index in range(len(self)) for name, view in self._views(index)}

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        del keep_vars  # views of parameters are none
        destination.update(self._named_views(prefix))

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Tensor],
        prefix: str,
        local_metadata: dict[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        del local_metadata, strict
        views = self._named_views(prefix)
        missing_keys += [name for name in views if name not in state_dict]
        unexpected_keys += [name for name in state_dict if name.startswith(prefix) and name not in views]
        for name in views.keys() & state_dict.keys():
            if state_dict[name].shape == views[name].shape:
                views[name].copy_(state_dict[name])
            else:
                error_msgs.append(f"{name} has shape {tuple(state_dict[name].shape)}, not {tuple(views[name].shape)}")


Critics = SeparateCritics | BatchedCritics


def make_critics(count: int, make: Callable[[], Critic]) -> Critics:
    """`count` critics of one shape, each with initial weights of its own."""
    critics = [make() for _ in range(count)]
    return SeparateCritics(critics) if count <= _MOST_IN_TURN else BatchedCritics(critics)


def _batched(layer: nn.Module, weight: Tensor, bias: Tensor, values: Tensor) -> Tensor:
    """What `layer`, with the parameters of n critics, makes of values (n, batch, in)."""
    if isinstance(layer, nn.LayerNorm):
        parts = zip(values, weight.squeeze(1), bias.squeeze(1), strict=True)
        return torch.stack([functional.layer_norm(one, layer.normalized_shape, w, b, layer.eps) for one, w, b in parts])
    return torch.baddbmm(bias, values, weight)


def _stacked(name: str) -> str:
    return name.replace(".", "_")  # torch allows no dots in a parameter's name
