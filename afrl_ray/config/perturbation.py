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
    """Spend fitness episodes only where they decide; for optimizer DE, where a child only has to beat its parent."""

    enabled: bool = True
    first_episodes: int = Field(2, ge=2)
    """Episodes per candidate in the first generation; never more than attack.episodes."""
    separation: PositiveFloat = 2.0
    """Everyone plays one more episode before a generation in which the variance of the candidates' fitness is less than
    this many times what noise alone would make."""
    margin: PositiveFloat = 1.0
    """Reject a candidate once its mean paired disadvantage exceeds this many standard errors."""
    horizon: float = Field(0.4, gt=0, le=1)
    """Share of an episode that is played in the search, its rest extrapolated from the latest reward rate; the final
    fitness is always that of whole episodes."""
    tolerance: float = Field(0.05, ge=0)
    """Differences below this share of the first population's spread are not worth an episode."""


class AttackSettings(Settings):
    """Differential evolution over δ; population, generations and bank sizes are ours."""

    optimizer: str = "DE"
    """DE is differential evolution; any other name is looked up in nevergrad's registry."""
    population: int = Field(16, ge=4)
    generations: PositiveInt = 12
    episodes: PositiveInt = 10
    """Whole episodes behind the fitness of a result, and, without racing, behind that of every candidate, with seeds
    common to all of them. A policy falls over by chance in some episodes: few of them find attacks on the seeds instead
    of on the policy."""
    racing: RacingSettings = RacingSettings()
    training_bank: PositiveInt = 5
    """K, the number of independent searches whose results training draws from."""
    validation_bank: NonNegativeInt = 2
    """Searches for choosing the best checkpoint."""
    evaluation_bank: PositiveInt = 5
    """Searches for the final evaluation, independent of the others."""
