"""The Gaussian actor, and the two densities that are read from its outputs."""

import math
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from afrl_ray.networks.actor_critic import Actor, with_float32_output

LOG_STD_RANGE = (-5.0, 2.0)
"""The lower end is that of IQL's code, the upper one that of SAC's."""

_HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)


def bounded_log_std(outputs: Tensor) -> Tensor:
    """A network's outputs as log standard deviations in LOG_STD_RANGE, any shape.

    Bounded by a tanh instead of the papers' clipping, which has no gradient beyond its bounds: a policy that became too
    narrow on offline data could not widen again online.
    """
    low, high = LOG_STD_RANGE
    return low + 0.5 * (high - low) * (torch.tanh(outputs) + 1.0)


def sample_squashed(means: Tensor, log_stds: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    r""":math:`x = \tanh(u),\ u = \mu + \sigma \eta` and :math:`\log \pi(x) = \log N(u) - \sum_j \log(1 - \tanh^2 u_j)`.

    Haarnoja et al. 2018 (arXiv:1812.05905), appendix C; written with the softplus, it is finite where tanh rounds to 1.
    Differentiable in μ and σ.
    Shapes: means and log_stds (batch, A); standard normal noise (..., batch, A); x like the noise, log π (..., batch).
    """
    unsquashed = means + log_stds.exp() * noise
    log_normal = -0.5 * noise.square() - log_stds - _HALF_LOG_2PI
    log_slope = 2.0 * (math.log(2.0) - unsquashed - functional.softplus(-2.0 * unsquashed))
    return torch.tanh(unsquashed), (log_normal - log_slope).sum(dim=-1)


def log_likelihood_around_squashed_mean(means: Tensor, log_stds: Tensor, values: Tensor) -> Tensor:
    r""":math:`\log N(x; \tanh \mu, \sigma)`, summed over joints: a Gaussian in the action space itself.

    The form of IQL's code. It is finite for actions on the bounds of the action space, which data are full of and
    where the squashed density has no value.
    Shapes: all (batch, A), values in [−1, 1]; result (batch,).
    """
    deviations = (values - torch.tanh(means)) * torch.exp(-log_stds)
    return (-0.5 * deviations.square() - log_stds - _HALF_LOG_2PI).sum(dim=-1)


class GaussianActor(Actor):
    """Stochastic policy on normalised observations; its deterministic action is centre + half range · tanh(μ(s)).

    One network gives μ and σ. SAC and CQL sample from the Gaussian squashed by tanh. IQL (and CQL's cloning phase)
    weighs the data's actions by an unsquashed Gaussian around tanh(μ). Both agree on the deterministic action, so a
    policy learned the second way goes on the first way without change: only its exploration is narrower near the
    bounds, by the slope of tanh.
    """

    outputs_per_joint: ClassVar[int] = 2

    def mean_and_log_std(self, observations: Tensor) -> tuple[Tensor, Tensor]:  # (batch, O) -> twice (batch, A)
        means, outputs = with_float32_output(self.layers, observations).chunk(2, dim=-1)
        return means, bounded_log_std(outputs)

    def forward(self, observations: Tensor) -> Tensor:  # (batch, O) -> (batch, A), in the action space's units
        means, _ = self.mean_and_log_std(observations)
        return self.action_center + self.action_half_range * torch.tanh(means)

    def sample(self, observations: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Actions in the action space's units, and their log-density as actions in [−1, 1]^A.

        Shapes: observations (batch, O); standard normal noise (..., batch, A); actions like it, log π (..., batch).
        """
        squashed, log_probs = sample_squashed(*self.mean_and_log_std(observations), noise)
        return self.action_center + self.action_half_range * squashed, log_probs

    def log_likelihood(self, observations: Tensor, actions: Tensor) -> Tensor:
        """Of the data's actions (batch, A) for observations (batch, O), as actions in [−1, 1]^A; result (batch,)."""
        values = (actions - self.action_center) / self.action_half_range
        return log_likelihood_around_squashed_mean(*self.mean_and_log_std(observations), values)
