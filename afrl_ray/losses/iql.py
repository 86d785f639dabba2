"""Implicit Q-learning (Kostrikov et al. 2021, arXiv:2110.06169)."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class StateValueLoss:
    loss: Tensor  # ()
    advantages: Tensor  # (batch,), Q − V


def expectile_loss(q_values: Tensor, state_values: Tensor, expectile: float) -> StateValueLoss:
    r""":math:`\frac{1}{B}\sum L_2^\tau(Q(s, a) - V(s)),\ L_2^\tau(u) = |\tau - 1(u < 0)| u^2` (equation 5).

    Shapes: q_values (batch,), the smaller target critic's, taken as constant; state_values (batch,).
    """
    advantages = q_values.detach() - state_values
    weights = torch.where(advantages < 0, 1.0 - expectile, expectile)
    return StateValueLoss((weights * advantages.square()).mean(), advantages)


def q_target(rewards: Tensor, terminations: Tensor, next_state_values: Tensor, gamma: float) -> Tensor:
    r""":math:`y = r + \gamma (1 - d) V(s')` (equation 6). All shapes (batch,)."""
    return rewards + gamma * (1.0 - terminations) * next_state_values


def advantage_weights(advantages: Tensor, temperature: float, max_weight: float) -> Tensor:
    r""":math:`\min(e^{\beta (Q(s, a) - V(s))}, w_{max})`, constants for the gradient. Both shapes (batch,).

    The cap (100 in the authors' code) is on the weight itself, not on the advantage.
    """
    return torch.exp(temperature * advantages.detach()).clamp_max(max_weight)


def actor_loss(weights: Tensor, log_likelihoods: Tensor) -> Tensor:
    r"""Advantage-weighted regression, :math:`-\frac{1}{B}\sum w \log \pi(a|s)` (equation 7).

    Shapes: weights and log_likelihoods of the data's actions (batch,); result ().
    """
    return -(weights * log_likelihoods).mean()
