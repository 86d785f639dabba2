"""What one gradient step is, apart from where its data comes from."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

from afrl_ray.algorithms.rl_module import ActorCriticModule


@dataclass(frozen=True)
class Batch:
    """One minibatch, observations normalised."""

    observations: Tensor  # (batch, O)
    actions: Tensor  # (batch, A), intended
    rewards: Tensor  # (batch,)
    next_observations: Tensor  # (batch, O)
    terminations: Tensor  # (batch,), 1.0 where s' is terminal
    noise: Tensor  # (draws, batch, A), standard normal, as many draws as the rule wants


class UpdateRule(Protocol):
    """One algorithm: which optimizers it wants, and one update with them."""

    def __init__(self, module: ActorCriticModule, settings: object, optimizers: dict[str, torch.optim.Optimizer]): ...

    @staticmethod
    def optimizers(module: ActorCriticModule, settings: object) -> dict[str, torch.optim.Optimizer]:
        """Fresh optimizers by name."""
        ...

    @staticmethod
    def noise_draws(settings: object) -> int:
        """How many standard normal numbers per action of the batch one update wants."""
        ...

    def update(self, batch: Batch, update_index: int) -> dict[str, Tensor]:
        """Update the networks once; returns scalar tensors to log. `update_index` counts from 1."""
        ...


class Polyak:
    """target ← target + step · (source − target), over all parameters in one fused call."""

    def __init__(self, targets: Iterable[Tensor], sources: Iterable[Tensor], step: float) -> None:
        self._targets, self._sources = list(targets), list(sources)
        self._move = get_ema_multi_avg_fn(1.0 - step)

    def __call__(self) -> None:
        self._move(self._targets, self._sources, None)


def policy_average(module: ActorCriticModule, decay: float) -> Callable[[], None]:
    """Moves the module's slow average of the actor once; does nothing where none is kept."""
    if not module.keeps_average:
        return lambda: None
    return Polyak(module.average_actor.parameters(), module.policy.actor.parameters(), 1.0 - decay)


def adam(parameters: Iterable[Tensor], learning_rate: float) -> torch.optim.Optimizer:
    return torch.optim.Adam(parameters, lr=learning_rate, fused=True)


def minimize(loss: Tensor, optimizer: torch.optim.Optimizer) -> None:
    """One step of `optimizer`; gradients are computed for its own parameters only."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for parameter in parameters:
        parameter.grad = None  # zero_grad takes ten times as long
    loss.backward(inputs=parameters)
    optimizer.step()
