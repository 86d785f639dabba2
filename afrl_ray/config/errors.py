"""One line for each mistake in the settings: what is wrong, where, and what to write instead."""

import difflib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from afrl_ray.config.introspection import Section, element_members, member_type, section_members, setting_names

_EXPECTED = {
    "int": "write a whole number",
    "float": "write a number",
    "bool": "write true or false",
    "string": "write text",
    "tuple": "write a list",
    "dict": "write a mapping",
    "path": "write a path",
}


class ConfigError(ValueError):
    """The settings cannot be used; one line of the message for each mistake."""


@dataclass(frozen=True)
class _Place:
    """Where pydantic found a mistake."""

    name: str
    """Dotted name; empty at the top level."""
    parent: Section | None
    """The section that the last part of the name is in."""
    members: tuple[Section, ...]
    """The classes that may stand here; none for a plain value."""


def explain(error: ValidationError, root: Section) -> list[tuple[str, str]]:
    """(dotted setting, what is wrong with it) for every mistake that pydantic found in a `root`."""
    mistakes = error.errors()
    places = [details["loc"] for details in mistakes]
    return [
        _explain_one(details, root)
        for details in mistakes
        if details["type"] != "too_short" or not any(_is_below(place, details["loc"]) for place in places)
    ]  # a list whose only entry is wrong counts as empty too


def not_a_setting(name: str, root: Section) -> str:
    """Why `name` is refused, with the nearest name that is a setting of `root`."""
    names = setting_names(root)
    parent = name.rpartition(".")[0]
    siblings = _leaves(known for known in names if known.rpartition(".")[0] == parent)
    if parent in names and not siblings:
        return f"{name} is not a setting; {parent} holds one value"
    nearest = nearest_name(name, [known for known in names if not name.startswith(f"{known}.")])
    if nearest is not None:
        return f"{name} is not a setting; did you mean {nearest}?"
    while parent and parent not in names:
        parent = parent.rpartition(".")[0]
    members = _leaves(known for known in names if known.rpartition(".")[0] == parent)
    if not members:
        return f"{name} is not a setting; {parent} holds one value"
    return f"{name} is not a setting; {parent or 'the top level'} has {', '.join(members)}"


def nearest_name(name: str, names: Sequence[str]) -> str | None:
    """The dotted name most like `name`: in its section first, then with the same last part, then anywhere."""
    parent, _, leaf = name.rpartition(".")
    siblings = _leaves(known for known in names if known.rpartition(".")[0] == parent)
    for match in difflib.get_close_matches(leaf, siblings, n=1):
        return siblings[match]
    same_leaf = [known for known in names if known.rpartition(".")[2] == leaf]
    for candidates, cutoff in ((names, 0.9), (same_leaf, 0.0), (names, 0.8)):
        for match in difflib.get_close_matches(name, candidates, n=1, cutoff=cutoff):
            return match
    anywhere = _leaves(names)
    for match in difflib.get_close_matches(leaf, anywhere, n=1, cutoff=0.8):
        return anywhere[match]
    return None


def shown(value: object) -> str:
    """`value` as it could stand in a file, on one line of bounded length."""
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _leaves(names: Iterable[str]) -> dict[str, str]:
    """Last part -> whole name, the first of several."""
    leaves: dict[str, str] = {}
    for name in names:
        leaves.setdefault(name.rpartition(".")[2], name)
    return leaves


def _is_below(place: Sequence[str | int], other: Sequence[str | int]) -> bool:
    return len(place) > len(other) and tuple(place[: len(other)]) == tuple(other)


def _explain_one(details: ErrorDetails, root: Section) -> tuple[str, str]:
    place = _locate(details["loc"], root)
    name, value, kind, context = place.name, details["input"], details["type"], details.get("ctx", {})
    if kind in ("extra_forbidden", "invalid_key"):
        return name, _unknown(place, root)
    if kind == "missing":
        return name, _missing(place)
    if kind == "union_tag_invalid":
        types = [member_type(member) for member in place.members]
        return f"{name}.type", _wrong_choice(f"{name}.type", context["tag"], types)
    if kind == "literal_error":
        return name, _wrong_choice(name, value, context["expected"].replace("'", "").replace(" or ", ", ").split(", "))
    if kind == "value_error" and (place.members or not name):  # a check across several settings
        return name, f"{name}: {context['error']}" if name else str(context["error"])
    if place.members:
        return name, _not_a_section(place, value)
    return name, f"{name} is {shown(value)}; {_expectation(details)}"


def _locate(location: Sequence[str | int], root: Section) -> _Place:
    """pydantic's location without the union tags in it."""
    name, parts = "", list(location)
    parent: Section | None = None
    members: tuple[Section, ...] = (root,)
    entries: tuple[Section, ...] = ()
    current: Section | None = root
    while parts:
        part = parts.pop(0)
        if isinstance(part, int):
            name, members, entries = f"{name}[{part}]", entries, ()
        elif current is None and entries:
            name, members, entries = f"{name}.{part}", entries, ()
        else:
            parent, name = current, f"{name}.{part}".lstrip(".")
            members = section_members(current, part) if current is not None else ()
            entries = element_members(current, part) if current is not None else ()
        if len(members) > 1 and parts:
            tag = parts.pop(0)
            members = tuple(member for member in members if member_type(member) == tag)
        current = members[0] if len(members) == 1 else None
    return _Place(name, parent, members)


def _unknown(place: _Place, root: Section) -> str:
    """Why a name is refused: another member's, a dotted one that should be nested, or simply unknown."""
    section_name, _, leaf = place.name.rpartition(".")
    if place.name in setting_names(root) and place.parent is not None and "type" in place.parent.model_fields:
        others = [member_type(member) for member in _union_of(section_name, root) if leaf in member.model_fields]
        return (
            f"{place.name} is not a setting of {section_name}.type={member_type(place.parent)}, "
            f"only of {' and '.join(others)}; set {section_name}.type to {' or '.join(others)}"
        )
    if place.name in setting_names(root):
        return f"{place.name} cannot be written with dots in a file; nest it, as {_nested(place.name)}"
    return not_a_setting(place.name, root)


def _union_of(name: str, root: Section) -> tuple[Section, ...]:
    """All classes that the section `name` may hold."""
    members: tuple[Section, ...] = (root,)
    for part in name.split("."):
        members = tuple(inner for member in members for inner in section_members(member, part))
    return members


def _nested(name: str) -> str:
    first, *rest = name.split(".")
    return f"{first}: " + "".join(f"{{{part}: " for part in rest) + "…" + "}" * len(rest)


def _missing(place: _Place) -> str:
    assert place.parent is not None  # only a field can be missing
    leaf = place.name.rpartition(".")[2]
    description = place.parent.model_fields[leaf].description or ""
    section = place.name.rpartition(".")[0]
    reason = f" for {section}.type={member_type(place.parent)}" if "type" in place.parent.model_fields else ""
    return f"{place.name} must be given{reason}: {' '.join(description.split())}".rstrip(": .")


def _wrong_choice(name: str, value: object, choices: Sequence[str]) -> str:
    close = difflib.get_close_matches(str(value), choices, n=1)
    hint = f"did you mean {close[0]}?" if close else f"write one of {', '.join(choices)}"
    return f"{name} is {shown(value)}; {hint}"


def _not_a_section(place: _Place, value: object) -> str:
    types = [member_type(member) for member in place.members] if len(place.members) > 1 else []
    if value in types:
        return (
            f"{place.name} is a section; write {place.name}.type={value}, or {place.name}: {{type: {value}}} in a file"
        )
    if value is None:
        return f"{place.name} is empty; write its settings below it, or leave it out"
    names = ", ".join(dict.fromkeys(name for member in place.members for name in member.model_fields))
    return f"{place.name} is {shown(value)}; write a mapping of its settings: {names}"


def _expectation(details: ErrorDetails) -> str:
    """What a plain value should have been."""
    kind = details["type"]
    if kind == "value_error":
        return str(details["ctx"]["error"])
    if kind == "too_short":
        return f"write at least {details['ctx']['min_length']}"
    if kind == "int_parsing_size":
        return "it is out of range; write a number closer to 0"
    expected = _EXPECTED.get(kind.split("_")[0])
    if expected is not None and kind.endswith(("_type", "_parsing", "_from_float")):
        return expected
    return details["msg"].replace("Input should", "it should").replace("String should", "it should")
