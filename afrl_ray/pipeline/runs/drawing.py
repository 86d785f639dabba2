"""What the trials of a search are drawn with."""

import math
from collections.abc import Mapping
from typing import Any

from ray import tune
from ray.tune.search.sample import _BackwardsCompatibleNumpyRng
from ray.tune.search.variant_generator import generate_variants

from afrl_ray.config import ExperimentSettings
from afrl_ray.config.search import Choice, LogUniform, Uniform
from afrl_ray.seeding import derive_seed


def trial_count(settings: ExperimentSettings) -> int:
    """How many trials the search makes."""
    search = settings.search
    if search is None:
        return 1
    if search.method != "grid":
        return search.samples
    return math.prod(len(dimension.choice) for dimension in search.space.values() if isinstance(dimension, Choice))


def all_draws(settings: ExperimentSettings) -> list[dict[str, Any]]:
    """What each trial of a grid or random search is given, by dotted setting, in the order that Tune would make them.

    One seed draws the same on every machine.
    """
    search = settings.search
    if search is None:
        return [{}]
    spec = {"drawn": {name: domain(one, search.method == "grid") for name, one in search.space.items()}}
    generator = _BackwardsCompatibleNumpyRng(derive_seed(settings.seed, "search"))
    samples = search.samples if search.method == "random" else 1
    variants = (one for _ in range(samples) for _, one in generate_variants(spec, random_state=generator))
    return [dict(variant["drawn"]) for variant in variants]


def domain(dimension: Choice | Uniform | LogUniform, grid: bool = False) -> Any:
    """Tune's word for one dimension of the space."""
    match dimension:
        case Uniform(uniform=(low, high)):
            return tune.uniform(low, high)
        case LogUniform(loguniform=(low, high)):
            return tune.loguniform(low, high)
        case Choice(choice=values):
            return tune.grid_search(list(values)) if grid else tune.choice(list(values))


def bounded(dimension: Choice | Uniform | LogUniform, value: Any) -> Any:
    """`value` if it is in the dimension's range, else the nearest that is."""
    match dimension:
        case Uniform(uniform=(low, high)) | LogUniform(loguniform=(low, high)):
            return min(max(value, low), high)
    return value


def domains(space: Mapping[str, Choice | Uniform | LogUniform]) -> dict[str, Any]:
    """For a population: lists are gone through by neighbours, distributions are drawn from anew or stretched."""
    return {name: list(one.choice) if isinstance(one, Choice) else domain(one) for name, one in space.items()}
