"""Soft actor-critic with automatic temperature (Haarnoja et al. 2018, arXiv:1812.05905).

Log-densities are those of actions in [−1, 1]^A, whatever the action space's units: a target entropy then means the
same for every robot.
"""

from torch import Tensor

from afrl_ray.losses.td3 import ActorLoss, clipped_double_q_target


def soft_q_target(
    rewards: Tensor,
    terminations: Tensor,
    next_q_values: Tensor,
    next_log_probs: Tensor,
    temperature: Tensor,
    gamma: float,
) -> Tensor:
    r""":math:`y = r + \gamma (1 - d) (\min_i Q'_i(s', a') - \alpha \log \pi(a'|s')),\ a' \sim \pi(s')` (eq. 2, 3).

    Shapes: rewards, terminations and next_log_probs (batch,); next_q_values (num_critics, batch); temperature ();
    result (batch,).
    """
    return clipped_double_q_target(rewards, terminations, next_q_values - temperature * next_log_probs, gamma)


def actor_loss(q_values: Tensor, log_probs: Tensor, temperature: Tensor) -> ActorLoss:
    r""":math:`\frac{1}{B}\sum \alpha \log \pi(a|s) - \min_i Q_i(s, a),\ a \sim \pi(s)` reparameterised (equation 7).

    Shapes: q_values (num_critics, batch); log_probs (batch,); temperature (), taken as constant.
    """
    smaller = q_values.amin(dim=0)
    return ActorLoss((temperature.detach() * log_probs - smaller).mean(), smaller)


def temperature_loss(log_temperature: Tensor, log_probs: Tensor, target_entropy: float) -> Tensor:
    r""":math:`\frac{1}{B}\sum -\alpha \log \pi(a|s) - \alpha \bar H` with :math:`\alpha` by its logarithm (eq. 18).

    Shapes: log_temperature (); log_probs (batch,), taken as constant; result ().
    """
    return -(log_temperature.exp() * (log_probs.detach() + target_entropy)).mean()
