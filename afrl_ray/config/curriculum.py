"""How the perturbation probability q moves over the training."""

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat

from afrl_ray.config.base import Settings


class FixedCurriculum(Settings):
    type: Literal["fixed"] = "fixed"
    q: float = Field(0.5, ge=0, le=1)
    """Probability that an episode is perturbed. The value is ours."""


class LinearCurriculum(Settings):
    """Ayabe et al. 2025, equation 10."""

    type: Literal["linear"] = "linear"
    q_max: float = Field(1.0, ge=0, le=1)
    """q at the end of the training; it starts at 0."""


class AdaptiveCurriculum(Settings):
    """Ayabe et al. 2025, equations 11 and 20."""

    type: Literal["adaptive"] = "adaptive"
    beta: float = Field(0.3, gt=0, le=1)
    """Smoothing factor of the moving average of the score: larger reacts faster. The value is ours."""
    kappa: PositiveFloat = 0.6
    """Step size: how far q moves with the average. The value is ours."""
    max_change: PositiveFloat = 0.1
    """Bound on one change of q. The value is ours."""
    initial_q: float = Field(0.0, ge=0, le=1)
    initial_average: float = 0.0
    """The moving average before the first evaluation, in normalised score / 100."""
    score: Literal["mixture", "normal", "adversarial"] = "mixture"
    """What S_k is measured in: the training mixture (perturbed with probability q), or one condition."""


CurriculumSettings = Annotated[FixedCurriculum | LinearCurriculum | AdaptiveCurriculum, Field(discriminator="type")]
