"""Mistakes of studies that the settings alone do not show, found before anything runs instead of hours later."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from afrl_ray.attacks.compare import PLAIN
from afrl_ray.attacks.search import require_optimizer
from afrl_ray.config.study import AttackersSettings
from afrl_ray.datasets import check_source
from afrl_ray.pipeline.cluster import cluster_address
from afrl_ray.pipeline.preflight import preflight
from afrl_ray.studies.collect import foundation_of
from afrl_ray.studies.plan import Case, Plan

_SEEN_BEFORE_DATA = {"environment", "attack", "perturbation", "evaluation"}


def look_ahead(cases: Mapping[str, Sequence[Case]], plans: Sequence[Plan], store: Path) -> None:
    """Look at what every case, by its study's name, needs first after hours; at data only where they are made here.

    Raises:
        FileNotFoundError: there is no policy or file of the name that the data have.
        ValueError: the data are another robot's, or there is no such optimizer, environment or fault.
    """
    for plan in plans:
        if isinstance(plan.study, AttackersSettings):
            for optimizer in plan.study.optimizers:
                if optimizer != PLAIN:
                    require_optimizer(optimizer, f"study {plan.name}, optimizers: {optimizer}")
    seen: set[str] = set()
    for name, found in cases.items():
        for case in found:
            with _behind(name, case):
                _look_at(case, store, seen)


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
