"""TD3 with behaviour cloning (Fujimoto and Gu 2021, arXiv:2106.06860)."""

from torch import Tensor
from torch.nn import functional

from afrl_ray.losses.td3 import ActorLoss


def actor_loss(q_values: Tensor, policy_actions: Tensor, data_actions: Tensor, alpha: float) -> ActorLoss:
    r""":math:`-\lambda Q_1(s, \pi(s)) + \|\pi(s) - a\|^2,\ \lambda = \alpha / \mathrm{mean}|Q_1|`, over the batch.

    Ayabe et al. 2025, equation 2. As in the authors' code the squared distance is averaged over action dimensions,
    which is what their α = 2.5 belongs to; λ is taken as constant.
    Shapes: q_values (batch,); both actions (batch, A).
    """
    weight = alpha / q_values.detach().abs().mean().clamp_min(1e-6)
    return ActorLoss(-weight * q_values.mean() + functional.mse_loss(policy_actions, data_actions), q_values)
