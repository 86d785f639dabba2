"""What is done to the executed actions, and how the worst of it is searched for."""

from typing import Literal

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from afrl_ray.config.base import Settings
from afrl_ray.config.fault import FaultSettings

Condition = Literal["normal", "random", "adversarial", "pgd"]
"""How a fault's parameters θ are chosen: none; uniformly for an episode; a member of a bank; anew at each step."""


class PGDSettings(Settings):
    """Projected gradient descent on Q at each step (Ayabe et al. 2025, appendix E); all values are ours."""

    steps: PositiveInt = 5
    """N."""
    step_size: PositiveFloat | None = None
    """η; 2.5 ε / N when not given, so that every corner of the box can be reached and left again."""
    critic: Literal["pretrained", "current"] = "pretrained"
    """Whose Q in training: that of the pretrained policy, or the one that is being trained. Evaluation always takes
    the pretrained one."""


class PerturbationSettings(Settings):
    fault: FaultSettings = FaultSettings()
    """What a perturbed episode suffers, in training and under the conditions normal, random, adversarial and pgd."""
    epsilon: float | None = Field(None, gt=0, le=1)
    """Bound on |δ| of multiplicative faults that have no magnitude of their own; the robot's when not given."""
    condition: Condition = "adversarial"
    """What a perturbed training episode gets: nothing, a uniform draw, a member of the bank, or PGD at each step."""
    pgd: PGDSettings = PGDSettings()

    @model_validator(mode="after")
    def _one_bound(self) -> "PerturbationSettings":
        if self.fault.type == "multiplicative" and self.epsilon is not None and self.fault.magnitude is not None:
            raise ValueError(
                f"epsilon ({self.epsilon:g}) and fault.magnitude ({self.fault.magnitude:g}) are the same bound; "
                "keep one of them"
            )
        return self

    @model_validator(mode="after")
    def _pgd_fits(self) -> "PerturbationSettings":
        check_condition(self.condition, self.fault)
        return self


def check_condition(condition: Condition, fault: FaultSettings) -> None:
    """
    Raises:
        ValueError: `condition` cannot choose the parameters of `fault`.
    """
    if condition == "pgd" and fault.type != "multiplicative":
        raise ValueError(
            f"condition pgd is for multiplicative faults, whose δ a gradient of Q can choose, not for {fault.type}; "
            "write random or adversarial"
        )


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
    """Differential evolution over a fault's θ; population, generations and bank sizes are ours. The few members of a
    finite set, such as dead joints, are all tried instead."""

    optimizer: str = "DE"
    """DE is differential evolution; any other name is looked up in nevergrad's registry."""
    population: int = Field(16, ge=4)
    generations: PositiveInt = 12
    """How many a search has; with step_budget only how many its optimizer plans for."""
    step_budget: PositiveInt | None = None
    """Environment steps after which a search begins no further generation, instead of after so many generations."""
    episodes: PositiveInt = 10
    """Whole episodes behind the fitness of a result, and, without racing, behind that of every candidate, with seeds
    common to all of them. A policy falls over by chance in some episodes: few of them find attacks on the seeds instead
    of on the policy."""
    racing: RacingSettings = RacingSettings()
    training_bank: PositiveInt = 5
    """K, the number of independent searches whose results training draws from."""
    validation_bank: PositiveInt = 2
    """Searches for choosing the best checkpoint."""
    evaluation_bank: PositiveInt = 5
    """Searches for the final evaluation, independent of the others."""
