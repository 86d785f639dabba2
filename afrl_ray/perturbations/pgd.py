"""Projected gradient descent on the critic: a multiplicative fault that chooses δ anew at each step."""

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from afrl_ray.arrays import FloatArray
from afrl_ray.config import PGDSettings
from afrl_ray.perturbations.batches import missing_rows
from afrl_ray.perturbations.fault import Body, RunningEpisodes
from afrl_ray.perturbations.kinds import Multiplicative

ActionGradient = Callable[[Tensor], Tensor]
"""∂Q(s, a)/∂a (n, A) at actions a (n, A), for the n states that it was made for."""


class GradientSource(Protocol):
    """A critic to descend on; `afrl_ray.networks.CriticGradients` is one."""

    def at(self, observations: FloatArray) -> ActionGradient:
        """The gradient at raw `observations` (n, O)."""
        ...


def projected_gradient_deltas(
    gradient: ActionGradient, actions: Tensor, epsilon: float, steps: int, step_size: float
) -> Tensor:
    r"""From δ = 0, `steps` times :math:`\delta \leftarrow \mathrm{clip}(\delta - \eta\,\mathrm{sign}(\nabla_\delta
    Q(s, a + \delta \odot a)), -\epsilon, \epsilon)` (Ayabe et al. 2025, appendix E), η being `step_size`.

    By the chain rule :math:`\nabla_\delta Q = \nabla_{\tilde a} Q \odot a`. Shapes: actions and result (n, A).
    """
    deltas = torch.zeros_like(actions)
    for _ in range(steps):
        ascent = gradient(actions + deltas * actions) * actions
        deltas = (deltas - step_size * ascent.sign()).clamp(-epsilon, epsilon)
    return deltas


class StepwisePGD(Multiplicative):
    """Multiplicative faults whose δ, where it is NaN, is found by projected gradient descent at each step."""

    chooses_at_each_step = True

    def __init__(self, magnitude: float, body: Body, settings: PGDSettings, critic: GradientSource) -> None:
        super().__init__(magnitude, body)
        self._steps = settings.steps
        self._step_size = settings.step_size or 2.5 * magnitude / settings.steps
        self._critic = critic

    def _identity(self) -> tuple[Any, ...]:
        return *super()._identity(), self._steps, self._step_size, self._critic

    @torch.inference_mode()
    def executed(self, intended: FloatArray, episodes: RunningEpisodes) -> FloatArray:
        deltas = episodes.parameters
        rows = np.flatnonzero(np.isnan(deltas).any(axis=1))
        if len(rows):
            deltas = deltas.copy()
            padded = np.concatenate([rows, np.repeat(rows[:1], missing_rows(len(rows)))])
            found = projected_gradient_deltas(
                self._critic.at(episodes.observations[padded]),
                torch.from_numpy(intended[padded]),
                self.magnitude,
                self._steps,
                self._step_size,
            )
            deltas[rows] = found.numpy()[: len(rows)]
        return intended + deltas * intended
