"""Conservative Q-learning, the variant CQL(H) (Kumar et al. 2020, arXiv:2006.04779)."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class ConservativeLoss:
    loss: Tensor  # ()
    gaps: Tensor  # (num_critics,), how much the soft maximum over actions exceeds the data's value


def soft_maximum(q_values: Tensor, log_densities: Tensor) -> Tensor:
    r""":math:`\log \int e^{Q(s, a)} da \approx \log \frac{1}{N} \sum_j e^{Q(s, a_j) - \log p_j(a_j)}` (appendix F).

    Importance sampling: the N actions of a state may come from several distributions, each in its share.
    Shapes: q_values (num_critics, N, batch); log_densities (N, batch), taken as constant; result (num_critics, batch).
    """
    return torch.logsumexp(q_values - log_densities.detach(), dim=1) - math.log(q_values.shape[1])


def conservative_loss(soft_maxima: Tensor, data_q_values: Tensor) -> ConservativeLoss:
    r""":math:`\sum_i \frac{1}{B}\sum \log \int e^{Q_i(s, a')} da' - Q_i(s, a)` (equation 4).

    Shapes: both (num_critics, batch).
    """
    gaps = (soft_maxima - data_q_values).mean(dim=1)
    return ConservativeLoss(gaps.sum(), gaps)


def cloning_loss(log_probs: Tensor, log_likelihoods: Tensor, temperature: Tensor) -> Tensor:
    r""":math:`\frac{1}{B}\sum \alpha \log \pi(a'|s) - \log \pi(a|s)`: entropy and the data's actions a, no values.

    What the authors' code gives the actor at first. Shapes: log_probs of the policy's own actions a' and
    log_likelihoods of the data's, each (batch,); temperature (), taken as constant; result ().
    """
    return (temperature.detach() * log_probs - log_likelihoods).mean()
