"""From a YAML file and dotted overrides to validated settings."""

import copy
import hashlib
import itertools
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, get_origin

from pydantic import BaseModel, ValidationError

from afrl_ray.config.base import Settings
from afrl_ray.config.errors import ConfigError, explain, not_a_setting, shown
from afrl_ray.config.experiment import ExperimentSettings
from afrl_ray.config.introspection import (
    Section,
    completed,
    differences,
    member_type,
    overlap,
    section_members,
    setting_names,
    single_values,
    take_truths,
)
from afrl_ray.config.search import Choice, LogUniform, SearchSettings, Uniform
from afrl_ray.config.yaml_file import parse_value, read_settings_file

AnySettings = TypeVar("AnySettings", bound=Settings)

SEARCHABLE = ("seed", "perturbation", "finetune", "curriculum")
"""What trials may differ in: settings of the fine-tuning stage. What comes before it is made once, for all of them."""

_MOST_COMBINATIONS = 10_000
"""A grid beyond this is a mistake, and checking it would take minutes."""


def load_experiment(path: Path | None, overrides: Sequence[str] = ()) -> ExperimentSettings:
    """The experiment in the YAML file `path`, with `overrides`, as `load_settings` reads them.

    Raises:
        ConfigError: with one line for each mistake, those of the trials that `search` would start included.
    """
    settings = load_settings(ExperimentSettings, path, overrides)
    if settings.search is not None:
        _refuse_replaced(settings.search, overrides)
        _check_search(settings, settings.search, _Origin(path, overrides))
    return settings


def load_settings(root: type[AnySettings], path: Path | None, overrides: Sequence[str] = ()) -> AnySettings:
    """The `root` in the YAML file `path` (all defaults where None), changed by `overrides` such as
    `finetune.steps=50000`, whose values are YAML.

    The file holds only what differs from the defaults. An override of a `type` (`curriculum.type=adaptive`) drops
    what the file says about settings that the new type does not have.

    Raises:
        ConfigError: with one line for each mistake.
    """
    tree = read_settings_file(path) if path is not None else {}
    return _build(root, _with_values(root, tree, parse_overrides(overrides)), _Origin(path, overrides))


def with_settings(settings: AnySettings, values: Mapping[str, Any]) -> AnySettings:
    """`settings` with other values for some dotted names, as in `{"curriculum.beta": 0.3}`.

    Raises:
        ConfigError: a name is no setting, or the values do not fit.
    """
    root = type(settings)
    return _build(root, _with_values(root, differences(settings), values), _Origin(None, ()))


def settings_fingerprint(settings: BaseModel) -> str:
    """SHA-256 of the settings as canonical JSON: the same for the same values, whatever file they came from."""
    content = json.dumps(settings.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(content.encode()).hexdigest()


@dataclass(frozen=True)
class _Origin:
    """Who wrote a setting: the file, or one of the overrides."""

    file: Path | None
    overrides: Sequence[str]

    def label(self, name: str, message: str) -> str:
        """`message` about the setting or section `name`, behind the one who wrote it."""
        for text in reversed(self.overrides):
            key = text.partition("=")[0].strip()
            is_this = name == key or name.startswith((f"{key}.", f"{key}["))
            is_inside = not name or key.startswith(f"{name}.")
            if is_this or (is_inside and re.search(rf"\b{re.escape(key.rpartition('.')[2])}\b", message)):
                return f"override {text}: {message}"
        return f"{self.file}: {message}" if self.file is not None else message


def parse_overrides(overrides: Sequence[str]) -> dict[str, Any]:
    """The values of NAME=VALUE by dotted name.

    Raises:
        ConfigError: one is not of this form, or its value is not YAML.
    """
    values: dict[str, Any] = {}
    for text in overrides:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise ConfigError(f"override {text}: write it as NAME=VALUE, like finetune.steps=50000")
        try:
            values[name.strip()] = parse_value(value)
        except ConfigError as error:
            raise ConfigError(f"override {text}: the value is not YAML: {error}") from error
    return values


def _with_values(root: Section, tree: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """`tree` with dotted `values` put in: whole sections before what is in them, and each `type` before the rest."""

    def rank(name: str) -> tuple[int, int]:
        is_section = any(other.startswith(f"{name}.") for other in values)
        is_type = name.endswith(".type")
        return (0 if is_section else 1 if is_type else 2, name.count(".") if is_section or is_type else 0)

    result = copy.deepcopy(dict(tree))
    for name in sorted(values, key=rank):
        _put(root, result, name, copy.deepcopy(values[name]))
    return result


def _put(root: Section, tree: dict[str, Any], name: str, value: Any) -> None:
    members: tuple[Section, ...] = (root,)
    leaf = name
    while "." in leaf:
        part, _, rest = leaf.partition(".")
        inner = tuple(member for section in members for member in section_members(section, part))
        holds_names = any(
            part in section.model_fields and get_origin(section.model_fields[part].annotation) is dict
            for section in members
        )
        if not inner and not holds_names:
            break  # no such section: what is left of the name is refused with the rest of the tree
        if tree.get(part) is None:
            tree[part] = {}
        if not isinstance(tree[part], dict):
            return  # refused with the rest of the tree
        tree, members, leaf = tree[part], inner, rest
        if holds_names:  # search.space: the rest is one key with dots
            break
    if leaf == "type":
        for member in members:
            if member_type(member) == value:
                for old in tree.keys() - member.model_fields.keys():
                    del tree[old]
    tree[leaf] = value


def _build(root: type[AnySettings], tree: Mapping[str, Any], origin: _Origin) -> AnySettings:
    tree = completed(root, tree)
    mistakes = [(name, f"{name} is {shown(value)}; write a number") for name, value in take_truths(root, tree)]
    settings = None
    try:
        settings = root.model_validate(tree)
    except ValidationError as error:
        mistakes += explain(error, root)
    if settings is None or mistakes:
        raise ConfigError("\n".join(dict.fromkeys(origin.label(name, message) for name, message in mistakes)))
    return settings


def _refuse_replaced(search: SearchSettings, overrides: Sequence[str]) -> None:
    """Overrides that no trial would have, since the search gives all of them values of its own."""
    mistakes = []
    for text in overrides:
        names = [name for name, _ in single_values(parse_overrides([text]))]
        for searched in search.space:
            if any(overlap(name, searched) for name in names):
                mistakes.append(
                    f"override {text}: every trial gets its {searched} from the search; "
                    f"override search.space.{searched}, or write search=null for one trial without a search"
                )
    if mistakes:
        raise ConfigError("\n".join(mistakes))


def _check_search(experiment: ExperimentSettings, search: SearchSettings, origin: _Origin) -> None:
    """Build the settings of the trials, so that a mistake in a late one does not show after a day.

    All combinations of a grid; of a random search every listed value and the ends of every distribution, one at a time.
    """
    for name in search.space:
        message = None
        if name not in setting_names(ExperimentSettings):
            message = not_a_setting(name, ExperimentSettings)
        elif name.partition(".")[0] not in SEARCHABLE:
            message = f"{name} is not of the fine-tuning stage; trials may differ in {', '.join(SEARCHABLE)}"
        if message is not None:
            raise ConfigError(origin.label(f"search.space.{name}", f"search.space: {message}"))
    combinations = math.prod(len(_examples(dimension)) for dimension in search.space.values())
    if search.method == "grid" and combinations > _MOST_COMBINATIONS:
        message = f"search.space has {combinations} combinations; list fewer values, or set search.method to random"
        raise ConfigError(origin.label("search.space", message))
    base = experiment.model_copy(update={"search": None})
    for values in _trials(search):
        try:
            _check_fault(base, with_settings(base, values))
        except ConfigError as error:
            trial = ", ".join(f"{name}={shown(value)}" for name, value in values.items())
            lines = [
                origin.label("search.space", f"search.space ({trial}): {line}") for line in str(error).splitlines()
            ]
            raise ConfigError("\n".join(lines)) from error


def _check_fault(base: ExperimentSettings, trial: ExperimentSettings) -> None:
    """Banks and validation episodes are made before the trials, for one fault."""
    for name in ("fault", "epsilon"):
        if getattr(trial.perturbation, name) != getattr(base.perturbation, name):
            raise ConfigError(f"perturbation.{name} must be the same for all trials; run an experiment for each")


def _trials(search: SearchSettings) -> Iterator[dict[str, Any]]:
    examples = {name: _examples(dimension) for name, dimension in search.space.items()}
    if search.method == "grid":
        for combination in itertools.product(*examples.values()):
            yield dict(zip(examples, combination, strict=True))
    else:
        firsts = {name: values[0] for name, values in examples.items()}
        for name, values in examples.items():
            for value in values:
                yield firsts | {name: value}


def _examples(dimension: object) -> Sequence[Any]:
    """The values of a list; of a distribution its ends and a fraction between them, which a whole number is not."""
    match dimension:
        case Choice(choice=values):
            return values
        case Uniform(uniform=(low, high)) | LogUniform(loguniform=(low, high)):
            return low, high, low + (high - low) / math.sqrt(2)
        case _:
            raise TypeError(f"not a dimension of a search: {dimension!r}")
