"""What trials and their files are called."""

import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from afrl_ray.config import ExperimentSettings, with_settings

_LONGEST_NAME = 180
"""Bytes of a file's name."""


def trial_name(base: ExperimentSettings, drawn: Mapping[str, Any]) -> str:
    """A name from the curriculum and whatever else the trial was given."""
    curriculum = (with_settings(base, drawn) if drawn else base).curriculum.model_dump()
    numbers = {"fixed": ("q",), "linear": ("q_max",), "adaptive": ("beta", "kappa")}[curriculum["type"]]
    parts = [curriculum["type"], *(f"{name}={_shown(curriculum[name])}" for name in numbers)]
    others = {name: value for name, value in drawn.items() if not name.startswith("curriculum")}
    for name, value in _leaves(others):
        parts.append(f"{name.rpartition('.')[2]}={_shown(value)}")
    return " ".join(parts)


def _shown(value: Any) -> str:
    """Numbers to three digits, below 1 to three of what is missing to it: 0.9998 is not 1."""
    if not isinstance(value, float):
        return str(value)
    digits = 2 - math.floor(math.log10(1 - value)) if 0.9 < value < 1 else 3
    return f"{value:.{digits}g}"


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
