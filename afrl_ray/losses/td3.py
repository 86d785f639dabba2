"""Twin Delayed DDPG (Fujimoto et al. 2018, arXiv:1802.09477)."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class CriticLoss:
    loss: Tensor  # ()
    target_q_values: Tensor  # (batch,)
    q_values: Tensor  # (num_critics, batch)


@dataclass(frozen=True)
class ActorLoss:
    loss: Tensor  # ()
    q_values: Tensor  # (batch,)


def smoothed_actions(actions: Tensor, noise: Tensor, noise_clip: Tensor, low: Tensor, high: Tensor) -> Tensor:
    r"""Target policy smoothing, :math:`\mathrm{clip}(a + \mathrm{clip}(\eta, -c, c), a_{low}, a_{high})`.

    Shapes: actions and noise (batch, A); noise_clip, low and high (A,); result (batch, A).
    """
    return torch.clamp(actions + torch.clamp(noise, -noise_clip, noise_clip), low, high)


def clipped_double_q_target(rewards: Tensor, terminations: Tensor, next_q_values: Tensor, gamma: float) -> Tensor:
    r""":math:`y = r + \gamma (1 - d) \min_i Q'_i(s', \tilde a')` (Ayabe et al. 2025, equation 4).

    `terminations` is 1 where s' is terminal; a truncated episode is not, and bootstraps.
    Shapes: rewards and terminations (batch,); next_q_values (num_critics, batch); result (batch,).
    """
    return rewards + gamma * (1.0 - terminations) * next_q_values.amin(dim=0)


def critic_loss(q_values: Tensor, target_q_values: Tensor) -> CriticLoss:
    r""":math:`\sum_i \frac{1}{B} \sum (Q_i(s, a) - y)^2` (Ayabe et al. 2025, equation 5).

    Shapes: q_values (num_critics, batch); target_q_values (batch,), taken as constant.
    """
    errors = q_values - target_q_values.detach()  # (num_critics, batch)
    return CriticLoss(errors.square().mean(dim=1).sum(), target_q_values, q_values)


def actor_loss(q_values: Tensor, normalize: bool = False) -> ActorLoss:
    r""":math:`-\frac{1}{B}\sum Q_1(s, \pi(s))` (Ayabe et al. 2025, equation 3), Q values (batch,).

    With `normalize` the loss is divided by :math:`\mathrm{mean}|Q_1|`, taken as constant: TD3+BC's scale (equation 2)
    kept during fine-tuning. It is not in the paper.
    """
    loss = -q_values.mean()
    if normalize:
        loss = loss / q_values.detach().abs().mean().clamp_min(1e-6)
    return ActorLoss(loss, q_values)
