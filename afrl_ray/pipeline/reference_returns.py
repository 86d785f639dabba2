"""What an experiment needs its robot's reference returns for; light enough to be asked before Ray is imported."""

from collections.abc import Mapping

from afrl_ray.config import ConfigError, ExperimentSettings
from afrl_ray.config.search import Choice
from afrl_ray.envs.robots import did_you_mean, find_robot


def check_reference_returns(settings: ExperimentSettings) -> None:
    """
    Raises:
        ConfigError: some trial's curriculum is adaptive, which needs scores of about 0 to 1, and the environment is no
            robot with reference returns that a score could be made with.
    """
    name = settings.environment.id
    if find_robot(name) is None and "adaptive" in _curricula(settings):
        if meant := did_you_mean(name):
            raise ConfigError(f"environment.id={name}: no robot of this name has reference returns{meant}")
        raise ConfigError(
            f"curriculum.type=adaptive moves q by the normalised score, and {name} has no reference returns to make "
            "one with; add them to ROBOTS in afrl_ray/envs/robots.py, or write curriculum.type=fixed or linear"
        )


def _curricula(settings: ExperimentSettings) -> set[str]:
    """The types that the trials have."""
    space = settings.search.space if settings.search is not None else {}
    for dimension in (space.get("curriculum.type"), space.get("curriculum")):
        if isinstance(dimension, Choice):
            return {str(one.get("type", "fixed")) if isinstance(one, Mapping) else str(one) for one in dimension.choice}
    return {settings.curriculum.type}
