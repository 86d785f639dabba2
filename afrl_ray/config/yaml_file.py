"""Settings files: YAML without its surprises."""

import difflib
import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from afrl_ray.config.errors import ConfigError


class _Loader(yaml.SafeLoader):
    """YAML 1.2's plain values: `on`, `off`, `yes` and `no` are text, 1e-4 is a number; keys are given once."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        lines: dict[str, int] = {}
        for key, _ in node.value:
            line = key.start_mark.line + 1
            if isinstance(key, yaml.ScalarNode) and lines.setdefault(key.value, line) != line:
                raise yaml.constructor.ConstructorError(
                    problem=f"{key.value} is given twice, first in line {lines[key.value]}; keep one of them",
                    problem_mark=key.start_mark,
                )
        return super().construct_mapping(node, deep)


for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?(0|[1-9][0-9_]*)", list("-+0123456789")),
    ("float", r"[-+]?(\.[0-9]+|[0-9][0-9_]*(\.[0-9]*)?)([eE][-+]?[0-9]+)?", list("-+.0123456789")),
    ("merge", r"<<", ["<"]),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), _first)


def parse_value(text: str) -> Any:
    """The value of an override.

    Raises:
        ConfigError: it is not YAML.
    """
    try:
        return _load(text)
    except yaml.YAMLError as error:
        raise ConfigError(_problem(error)) from error


def read_settings_file(path: Path) -> dict[str, Any]:
    """The mapping in the YAML file `path`; an empty file is an empty mapping.

    Raises:
        ConfigError: there is no such file, it is not YAML, gives a key twice, or holds something else than a mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        names = sorted(other.name for other in path.parent.glob("*.y*ml"))
        near = difflib.get_close_matches(path.name, names, n=1, cutoff=0.75)
        hint = f"; did you mean {path.with_name(near[0])}?" if near else ""
        raise ConfigError(f"{path}: there is no such file{hint}") from error
    except IsADirectoryError as error:
        raise ConfigError(f"{path}: is a folder; name a YAML file in it") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not a text file in UTF-8") from error
    try:
        content = _load(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError(f"{path}: line {line}: {_problem(error)}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: is not YAML: {_problem(error)}") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: holds no settings; write them as `name: value`, one on each line")
    return content


def _load(text: str) -> Any:
    try:
        content = yaml.load(text, _Loader)  # a subclass of the safe loader
    except (AttributeError, KeyError, TypeError, ValueError) as error:  # PyYAML's: a tag that does not fit its value
        raise yaml.YAMLError("a tag (!!) stands before a value that is none of its kind; leave the tag out") from error
    if _holds_itself(content):
        raise yaml.YAMLError("an anchor stands inside of what it names; write out what is meant")
    return content


def _holds_itself(value: object, around: tuple[int, ...] = ()) -> bool:
    if not isinstance(value, dict | list):
        return False
    inside = (*around, id(value))
    return id(value) in around or any(
        _holds_itself(inner, inside) for inner in (value.values() if isinstance(value, dict) else value)
    )


def _problem(error: yaml.YAMLError) -> str:
    problem = error.problem if isinstance(error, yaml.MarkedYAMLError) else None
    return problem or " ".join(str(error).split())
