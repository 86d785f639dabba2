"""What settings there are: their dotted names, the classes behind them, and which of them differ from the defaults."""

import functools
from collections.abc import Iterator, Mapping
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic_core import to_jsonable_python

from afrl_ray.config.base import Settings

Section = type[Settings]


def section_members(section: Section, name: str) -> tuple[Section, ...]:
    """The classes that the field `name` of `section` may hold; none where it is a plain value or no field."""
    field = section.model_fields.get(name)
    types = _alternatives(field.annotation) if field is not None else ()
    return tuple(kind for kind in types if isinstance(kind, type) and issubclass(kind, Settings))


def element_members(section: Section, name: str) -> tuple[Section, ...]:
    """The classes that the entries of the list `name` of `section` may have, or the one class that those of a mapping
    have; none where some are plain values."""
    field = section.model_fields.get(name)
    origin = get_origin(field.annotation) if field is not None else None
    if field is None or origin not in (tuple, dict):
        return ()
    kinds = _alternatives(get_args(field.annotation)[1 if origin is dict else 0])
    if origin is dict and len(kinds) > 1:
        return ()
    are_sections = all(isinstance(kind, type) and issubclass(kind, Settings) for kind in kinds)
    return kinds if are_sections else ()


def is_number(section: Section, name: str) -> bool:
    """Whether the field `name` of `section` is a number, and not also a truth value."""
    field = section.model_fields.get(name)
    types = _alternatives(field.annotation) if field is not None else ()
    return bool not in types and (int in types or float in types)


def _alternatives(annotation: Any) -> tuple[Any, ...]:
    """The members of a union, bare of annotations; the type itself where it is none."""
    if get_origin(annotation) is Annotated:
        return _alternatives(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return tuple(kind for member in get_args(annotation) for kind in _alternatives(member))
    return (annotation,)


def member_type(member: Section) -> str:
    """The value of `type` that chooses this class."""
    return str(member.model_fields["type"].default)


def chosen_member(section: Section, name: str, value: object) -> Section | None:
    """The class that the mapping `value` of the field `name` is for: by its `type`, else the default's."""
    members = section_members(section, name)
    if len(members) < 2:
        return members[0] if members else None
    chosen = value.get("type") if isinstance(value, dict) else None
    default = section.model_fields[name].default
    if chosen is None and isinstance(default, Settings):
        return type(default)
    return next((member for member in members if member_type(member) == chosen), None)


@functools.cache
def setting_names(root: Section) -> tuple[str, ...]:
    """Dotted names of all settings and sections, with those of every member of a union."""
    names: dict[str, None] = {}
    for name in root.model_fields:
        names[name] = None
        for member in section_members(root, name):
            names.update(dict.fromkeys(f"{name}.{inner}" for inner in setting_names(member)))
    return tuple(names)


def differences(settings: Settings, defaults: Settings | None = None) -> dict[str, Any]:
    """Only what differs from `defaults` (the class's own where None), as the plain values a YAML file would hold."""
    result: dict[str, Any] = {}
    for name, field in type(settings).model_fields.items():
        value, default = getattr(settings, name), field.default if defaults is None else getattr(defaults, name)
        if value == default:
            continue
        if isinstance(value, Settings):
            same_type = type(value) is type(default)
            result[name] = differences(value, default if same_type else None)
            if not same_type and len(section_members(type(settings), name)) > 1:
                result[name] = {"type": member_type(type(value)), **result[name]}
        else:
            result[name] = to_jsonable_python(value)
    return result


def completed(section: Section, tree: Mapping[str, Any]) -> dict[str, Any]:
    """`tree` as pydantic needs it: a union's mapping has its `type`, and a section that is given in part has the rest
    of the field's default, which may differ from the defaults of the section's class."""
    result = dict(tree)
    for name, value in tree.items():
        member = chosen_member(section, name, value)
        if member is None or not isinstance(value, dict):
            continue
        default = section.model_fields[name].default
        if type(default) is member:
            value = _overlaid(differences(default), value)
        result[name] = completed(member, value)
        if len(section_members(section, name)) > 1:
            result[name].setdefault("type", member_type(member))
    return result


def _overlaid(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Both trees, `above` where they disagree."""
    result = {**below, **above}
    for name in below.keys() & above.keys():
        if isinstance(below[name], dict) and isinstance(above[name], dict):
            result[name] = _overlaid(below[name], above[name])
    return result


def take_truths(section: Section, tree: dict[str, Any]) -> list[tuple[str, bool]]:
    """Take out of `tree` the numbers given as true or false, which pydantic would take for 1 and 0."""
    taken = []
    for name, value in list(tree.items()):
        if isinstance(value, bool) and is_number(section, name):
            taken.append((name, tree.pop(name)))
        elif isinstance(value, dict) and (member := chosen_member(section, name, value)) is not None:
            taken += [(f"{name}.{inner}", truth) for inner, truth in take_truths(member, value)]
    return taken


def single_values(settings: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Each single value that `settings` set, nested or not, with its dotted name; an empty section is one."""
    for name, value in settings.items():
        if isinstance(value, Mapping) and value:
            yield from ((f"{name}.{inner}", own) for inner, own in single_values(value))
        else:
            yield name, value


def overlap(first: str, second: str) -> bool:
    """Whether one of two dotted names is the other, or a section around it."""
    return is_inside(first, second) or is_inside(second, first)


def is_inside(name: str, other: str) -> bool:
    """Whether the dotted `name` is `other`, or something in it."""
    return name == other or name.startswith(f"{other}.")
