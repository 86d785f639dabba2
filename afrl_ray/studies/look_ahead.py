"""Mistakes of studies that the settings alone do not show, found before anything runs instead of hours later."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from afrl_ray.attacks.compare import PLAIN
from afrl_ray.attacks.optimizers import require_optimizer
from afrl_ray.config.study import AttackersSettings
from afrl_ray.datasets import check_source
from afrl_ray.perturbations import FiniteSet, make_fault
from afrl_ray.pipeline.cluster import cluster_address
from afrl_ray.pipeline.preflight import body_of, preflight
from afrl_ray.studies.collect import foundation_of
from afrl_ray.studies.plan import Case, Plan

_SEEN_BEFORE_DATA = {"environment", "attack", "perturbation", "evaluation"}


def look_ahead(cases: Mapping[str, Sequence[Case]], plans: Sequence[Plan], store: Path) -> None:
    """Look at what every case, by its study's name, needs first after hours; at data only where they are made here.

    Raises:
        FileNotFoundError: there is no policy or file of the name that the data have.
        ValueError: the data are another robot's, there is no such optimizer, environment or fault, or attackers
            have nothing to search for.
    """
    for plan in plans:
        if isinstance(plan.study, AttackersSettings):
            found = cases[plan.name]
            for optimizer in plan.study.optimizers:
                if optimizer != PLAIN:
                    attack = found[0].settings.attack.model_copy(update={"optimizer": optimizer})
                    require_optimizer(attack, f"study {plan.name}, optimizers: {optimizer}")
            for case in {case.robot: case for case in found}.values():  # its seeds have the same faults
                _require_search(plan.name, case, store)
    seen: set[str] = set()
    for name, of_study in cases.items():
        for case in of_study:
            with _behind(name, case):
                _look_at(case, store, seen)


def _require_search(study: str, case: Case, store: Path) -> None:
    experiment = foundation_of(case, store).experiment
    if isinstance(make_fault(experiment.fault, body_of(case.settings.environment)).parameters, FiniteSet):
        kind = experiment.fault.type
        raise ValueError(
            f"study {study}: faults of type {kind} are all tried, whatever the optimizer; write another type"
        )


def _look_at(case: Case, store: Path, seen: set[str]) -> None:
    foundation, content = foundation_of(case, store), case.settings.model_dump_json(include=_SEEN_BEFORE_DATA)
    if content not in seen:
        preflight(foundation.experiment)
    data = foundation.data
    if data.key not in seen and not cluster_address(case.settings.runtime) and not data.finished():
        check_source(case.settings.data, case.settings.environment)
    seen |= {content, data.key}


@contextmanager
def _behind(study: str, case: Case) -> Iterator[None]:
    """What is said of a case says whose it is."""
    place = f"study {study}, arm {case.arm}, {case.robot}"
    try:
        yield
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{place}: {error}") from error
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from error
