"""What is done to the executed actions, and how the worst of it is searched for."""

from typing import Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from afrl_ray.config.base import Settings

Condition = Literal["normal", "random", "adversarial"]


class PerturbationSettings(Settings):
    epsilon: float | None = Field(None, gt=0, le=1)
    """Bound on |δ| in ã = a + δ⊙a; the robot's own value when not given."""
    condition: Condition = "adversarial"
    """What a perturbed training episode gets: nothing, a uniform draw, or a member of the bank."""


class RacingSettings(Settings):
    """Spend fitness episodes only where they decide whether a candidate replaces its parent."""

    enabled: bool = True
    first_episodes: PositiveInt = 1
    """Episodes every candidate gets before it can be rejected."""
    margin: PositiveFloat = 1.0
    """Reject once the candidate's mean paired disadvantage exceeds this many standard errors."""


class AttackSettings(Settings):
    """Differential evolution over δ; population, generations and bank sizes are ours."""

    optimizer: str = "DE"
    """DE is differential evolution; any other name is looked up in nevergrad's registry."""
    population: PositiveInt = 16
    generations: PositiveInt = 12
    episodes: PositiveInt = 3
    """Episodes per fitness, with seeds common to all candidates."""
    racing: RacingSettings = RacingSettings()
    training_bank: PositiveInt = 5
    """K, the number of independent searches whose results training draws from."""
    validation_bank: NonNegativeInt = 2
    """Searches for choosing the best checkpoint."""
    evaluation_bank: PositiveInt = 5
    """Searches for the final evaluation, independent of the others."""
