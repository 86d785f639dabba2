"""Hyperparameters of the learning algorithms; the values are the papers' unless a docstring says otherwise."""

from typing import Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from afrl_ray.config.base import Settings


class OffPolicySettings(Settings):
    """What every off-policy actor-critic here has."""

    hidden_sizes: tuple[PositiveInt, ...] = (256, 256)
    """Width of each hidden layer of the actor and of every critic."""
    gamma: float = Field(0.99, ge=0, le=1)
    """Discount factor."""
    tau: float = Field(0.005, gt=0, le=1)
    """Polyak step of the target networks."""
    actor_learning_rate: PositiveFloat = 3e-4
    critic_learning_rate: PositiveFloat = 3e-4
    batch_size: PositiveInt = 256
    critic_layer_norm: bool = False
    """Normalise the critics' hidden layers (Ball et al. 2023, arXiv:2302.02948): values of actions that the data do not
    have stay bounded. The same before and after the hand-over."""
    mixed_precision: Literal["auto", "on", "off"] = "auto"
    """bfloat16 matrix products with float32 weights, targets and losses; auto: where the processor has the
    instructions."""


class TD3Settings(OffPolicySettings):
    """Twin Delayed DDPG (Fujimoto et al. 2018, arXiv:1802.09477)."""

    type: Literal["td3"] = "td3"
    policy_delay: PositiveInt = 2
    """Critic updates per actor update."""
    target_noise: NonNegativeFloat = 0.2
    """Standard deviation of target policy smoothing, in units of half the action range."""
    target_noise_clip: NonNegativeFloat = 0.5
    """Bound on the smoothing noise, in units of half the action range."""
    exploration_noise: NonNegativeFloat = 0.1
    """Standard deviation of the exploration noise, in units of half the action range."""
    normalize_actor_loss: bool = False
    """Divide the actor's loss by mean|Q|, as TD3+BC does."""
    critic_only_updates: NonNegativeInt = 0
    """Leave the actor alone for this many first updates, so that the critics adapt before they steer it."""
    policy_average_decay: float = Field(0.0, ge=0, lt=1)
    """Decay per actor update of a slow average of the policy for evaluation and export; 0 keeps none."""


class TD3BCSettings(OffPolicySettings):
    """TD3 with a behaviour-cloning term (Fujimoto and Gu 2021, arXiv:2106.06860)."""

    type: Literal["td3_bc"] = "td3_bc"
    policy_delay: PositiveInt = 2
    target_noise: NonNegativeFloat = 0.2
    target_noise_clip: NonNegativeFloat = 0.5
    alpha: PositiveFloat = 2.5
    """Weight of the value term against the behaviour-cloning term."""
