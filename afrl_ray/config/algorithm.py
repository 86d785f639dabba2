"""Hyperparameters of the learning algorithms; the values are the papers' unless a docstring says otherwise."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from afrl_ray.config.base import Settings

PolicyKind = Literal["deterministic", "gaussian"]


class OffPolicySettings(Settings):
    """What every off-policy actor-critic here has."""

    policy_kind: ClassVar[PolicyKind] = "deterministic"
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
    bc_alpha: PositiveFloat | None = None
    """Keep TD3+BC's behaviour-cloning term, on the replay's actions and with this α (2.5 in TD3+BC); null drops it, as
    the paper does except in its figure 10. The loss is then divided by mean|Q| whatever normalize_actor_loss says."""
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


class SACSettings(OffPolicySettings):
    """Soft actor-critic with automatic temperature (Haarnoja et al. 2018, arXiv:1812.05905)."""

    policy_kind: ClassVar[PolicyKind] = "gaussian"
    type: Literal["sac"] = "sac"
    initial_temperature: PositiveFloat = 1.0
    """Weight α of the entropy at first, also after a hand-over (the authors' code)."""
    temperature_learning_rate: PositiveFloat = 3e-4
    target_entropy: float | None = None
    """Entropy that the temperature is steered to, of actions in [-1, 1]; minus the number of joints where null."""
    critic_only_updates: NonNegativeInt = 0
    """Leave actor and temperature alone for this many first updates, so that the critics adapt before they steer."""
    policy_average_decay: float = Field(0.0, ge=0, lt=1)
    """Decay per actor update of a slow average of the policy for evaluation and export; 0 keeps none."""


class IQLSettings(OffPolicySettings):
    """Implicit Q-learning (Kostrikov et al. 2021, arXiv:2110.06169) with its values for the D4RL locomotion data."""

    policy_kind: ClassVar[PolicyKind] = "gaussian"
    type: Literal["iql"] = "iql"
    value_learning_rate: PositiveFloat = 3e-4
    expectile: float = Field(0.7, gt=0, lt=1)
    """τ of the expectile that V(s) is of Q(s, a) over the data's actions; 0.5 is the mean."""
    temperature: NonNegativeFloat = 3.0
    """β, how sharply the actor prefers actions of high advantage; 0 clones the data."""
    max_advantage_weight: PositiveFloat = 100.0
    """Cap on the weight of one action (the authors' code)."""


class CQLSettings(OffPolicySettings):
    """Conservative Q-learning, CQL(H) (Kumar et al. 2020, arXiv:2006.04779), with a fixed weight instead of the
    Lagrangian version. The values are those of the authors' script for D4RL's Gym tasks; the paper's text has a policy
    learning rate of 3e-5."""

    policy_kind: ClassVar[PolicyKind] = "gaussian"
    type: Literal["cql"] = "cql"
    actor_learning_rate: PositiveFloat = 1e-4
    initial_temperature: PositiveFloat = 1.0
    """Weight α of the actor's entropy at first."""
    temperature_learning_rate: PositiveFloat = 1e-4
    target_entropy: float | None = None
    """Entropy that the temperature is steered to, of actions in [-1, 1]; minus the number of joints where null."""
    min_q_weight: NonNegativeFloat = 5.0
    """Weight of the conservative term; the authors advise 5 or 10 without the Lagrangian."""
    num_actions: PositiveInt = 10
    """Actions drawn for the soft maximum from each of: the uniform distribution, π(s) and π(s')."""
    cloning_updates: NonNegativeInt = 40_000
    """First updates in which the actor clones the data instead of following the critics; the authors found little
    difference between 0, 10,000, 20,000 and 40,000."""


OfflineAlgorithm = Annotated[TD3BCSettings | IQLSettings | CQLSettings, Field(discriminator="type")]
OnlineAlgorithm = Annotated[TD3Settings | SACSettings, Field(discriminator="type")]
