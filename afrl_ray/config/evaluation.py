"""What a policy is measured under."""

from pydantic import PositiveInt

from afrl_ray.config.base import Settings
from afrl_ray.config.perturbation import Condition


class EvaluationSettings(Settings):
    conditions: tuple[Condition, ...] = ("normal", "random", "adversarial")
    episodes: PositiveInt = 100
    """Episodes per condition, each with a seed of its own that all policies share."""
    adaptive_attack: bool = True
    """Also attack every fine-tuned policy afresh: a test that the bank, made against the pretrained policy, is not."""
    adaptive_searches: PositiveInt = 2
    """Independent searches of the adaptive attack."""
