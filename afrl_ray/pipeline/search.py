"""What the trials of a search differ in, for Tune and for people."""

import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ray import tune
from ray.tune.search import BasicVariantGenerator

from afrl_ray.config import ExperimentSettings, trial_experiment
from afrl_ray.config.search import Choice, LogUniform, Uniform
from afrl_ray.seeding import derive_seed

_LONGEST_NAME = 180
"""Bytes of a file's name."""


def trial_count(settings: ExperimentSettings) -> int:
    """How many trials the search makes."""
    search = settings.search
    if search is None:
        return 1
    if search.method == "random":
        return search.samples
    return math.prod(len(dimension.choice) for dimension in search.space.values() if isinstance(dimension, Choice))


def parameter_space(settings: ExperimentSettings) -> dict[str, Any]:
    """Tune's view of the search: `varied`, the searched settings by dotted name, and `base`, all the others.

    `trial_experiment` puts them together.
    """
    dimensions = settings.search.space if settings.search else {}
    grid = settings.search is not None and settings.search.method == "grid"
    return {
        "varied": {name: _tune_dimension(dimension, grid) for name, dimension in dimensions.items()},
        "base": settings.model_copy(update={"search": None}).model_dump(mode="json"),
    }


def search_algorithm(settings: ExperimentSettings) -> BasicVariantGenerator:
    """Grid and random search; one seed draws the same trials on every machine."""
    at_once = settings.runtime.trials_at_once or 0  # Tune's word for as many as fit
    return BasicVariantGenerator(max_concurrent=at_once, random_state=derive_seed(settings.seed, "search"))


def _tune_dimension(dimension: Choice | Uniform | LogUniform, grid: bool) -> Any:
    match dimension:
        case Uniform(uniform=(low, high)):
            return tune.uniform(low, high)
        case LogUniform(loguniform=(low, high)):
            return tune.loguniform(low, high)
        case Choice(choice=values):
            return tune.grid_search(list(values)) if grid else tune.choice(list(values))


def trial_name(experiment: Mapping[str, Any], varied: Mapping[str, Any]) -> str:
    """A name from the curriculum and whatever else the trial was given."""
    curriculum = experiment["curriculum"]
    numbers = {"fixed": ("q",), "linear": ("q_max",), "adaptive": ("beta", "kappa")}[curriculum["type"]]
    parts = [curriculum["type"], *(f"{name}={_shown(curriculum[name])}" for name in numbers)]
    others = {name: value for name, value in varied.items() if not name.startswith("curriculum")}
    for name, value in _leaves(others):
        parts.append(f"{name.rpartition('.')[2]}={_shown(value)}")
    return " ".join(parts)


def _shown(value: Any) -> str:
    """Numbers to three digits, below 1 to three of what is missing to it: 0.9998 is not 1."""
    if not isinstance(value, float):
        return str(value)
    digits = 2 - math.floor(math.log10(1 - value)) if 0.9 < value < 1 else 3
    return f"{value:.{digits}g}"


def readable_name(config: Mapping[str, Any]) -> str:
    """`trial_name` of a Tune trial's config."""
    return trial_name(trial_experiment(config), config["varied"])


def file_name(name: str) -> str:
    """A trial's name as a folder or file is called: no spaces, no slashes, and short enough for a file system, which
    has room for 255 bytes with what is put before and after it."""
    called = name.replace(" ", "_").replace("/", "_")
    if len(called.encode()) <= _LONGEST_NAME:
        return called
    beginning = called.encode()[: _LONGEST_NAME - 20].decode(errors="ignore")
    return f"{beginning}-{hashlib.sha256(name.encode()).hexdigest()[:12]}"


def file_names(names: Iterable[str]) -> dict[str, str]:
    """`file_name` of each, with a number where two names would share a file."""
    called: dict[str, str] = {}
    for name in names:
        called[name] = unique_name(file_name(name), list(called.values()))
    return called


def _leaves(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _leaves(value)
        elif not isinstance(value, list):
            yield name, value


def unique_name(name: str, taken: Sequence[str]) -> str:
    number, candidate = 2, name
    while candidate in taken:
        number, candidate = number + 1, f"{name} #{number}"
    return candidate
