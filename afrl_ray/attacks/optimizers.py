"""nevergrad's optimizers by name, made for a search in a box."""

import difflib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import nevergrad
import numpy as np
from nevergrad.optimization import metamodel

from afrl_ray.config import AttackSettings
from afrl_ray.perturbations import Box
from afrl_ray.seeding import derive_seed

OPTIMIZERS = ("DE", "CMA", "PSO", "NGOpt", "RandomSearch")
"""Those that are compared and tested here; nevergrad has hundreds."""

# NGOpt's model of the objective gives its value as an array of one number, which NumPy 2.4's own float refuses
metamodel.float = lambda value: np.asarray(value).item()


def make_optimizer(settings: AttackSettings, box: Box, seed: int, place: str | None = None) -> Any:
    """`settings.optimizer`, whose `num_workers` is how many candidates it can propose before it is told of one.

    That is the population, or 1 for an optimizer that goes from point to point. `place` says in an error where the
    optimizer was asked for, if not by `attack.optimizer`.

    Raises:
        ValueError: nevergrad knows no such optimizer, or cannot make it.
    """
    place = place or setting_of(settings)
    _require_known(settings.optimizer, place)
    # the worst faults lie on the boundary: proposals beyond it are clipped to it, and the first ones fill the box
    center = np.full(box.size, (box.low + box.high) / 2)
    parameter = nevergrad.p.Array(init=center).set_mutation(sigma=(box.high - box.low) / 6)
    parameter.set_bounds(box.low, box.high, method="clipping", full_range_sampling=True)
    parameter.random_state = np.random.RandomState(derive_seed(seed, "optimizer"))
    budget = settings.population * settings.generations
    if settings.optimizer == "DE":
        family = nevergrad.families.DifferentialEvolution(popsize=settings.population)
        return family(parameter, budget=budget, num_workers=settings.population)
    family = nevergrad.optimizers.registry[settings.optimizer]
    with failures_of(place):
        return family(parameter, budget=budget, num_workers=1 if family.no_parallelization else settings.population)


def setting_of(settings: AttackSettings) -> str:
    """What asks for the optimizer, in an error."""
    return f"attack.optimizer={settings.optimizer}"


@contextmanager
def failures_of(place: str) -> Iterator[None]:
    """What nevergrad raises for the optimizer that `place` asks for.

    Raises:
        ValueError: nevergrad raised anything. Some of its optimizers need packages that are not here, or whole numbers,
            or a larger budget, and they say so in many ways.
    """
    try:
        yield
    except Exception as error:
        reason = (str(error).splitlines() or [""])[0] or type(error).__name__
        others = ", ".join(OPTIMIZERS[:-1])
        raise ValueError(f"{place} fails in nevergrad: {reason}; write {others} or {OPTIMIZERS[-1]}") from error


def require_optimizer(settings: AttackSettings, place: str | None = None) -> None:
    """Make the optimizer of the settings once, to see that it can be made; `place` as in `make_optimizer`.

    Raises:
        ValueError: nevergrad knows no such optimizer, or cannot make it.
    """
    make_optimizer(settings, Box(-1.0, 1.0, 3), seed=0, place=place)


def _require_known(optimizer: str, place: str) -> None:
    """
    Raises:
        ValueError: nevergrad knows no optimizer of this name.
    """
    names = {"DE", *nevergrad.optimizers.registry}
    if optimizer not in names:
        near = difflib.get_close_matches(optimizer, names, n=3)
        hint = f"near: {', '.join(near)}" if near else "write DE"
        raise ValueError(f"{place} is not known to nevergrad; {hint}")
