from typing import Any, get_args

import pytest

from afrl_ray.config import ExperimentSettings
from afrl_ray.config.base import Settings
from afrl_ray.config.introspection import chosen_member, is_number, member_type, section_members, setting_names


def all_sections(section: type[Settings]) -> set[type[Settings]]:
    inner = {member for name in section.model_fields for member in section_members(section, name)}
    return {section}.union(*(all_sections(member) for member in inner))


def test_names_reach_into_every_member_of_a_union() -> None:
    names = setting_names(ExperimentSettings)
    for name in ("seed", "finetune", "finetune.algorithm.tau", "curriculum.q", "curriculum.beta", "data.dataset"):
        assert name in names
    assert len(names) == len(set(names))


def test_a_mapping_chooses_its_class() -> None:
    chosen = [chosen_member(ExperimentSettings, "curriculum", value) for value in ({}, {"type": "linear"}, {"type": 1})]
    assert [member and member_type(member) for member in chosen] == ["fixed", "linear", None]
    assert chosen_member(ExperimentSettings, "seed", 3) is None


def test_numbers_are_told_from_truth_values() -> None:
    assert is_number(ExperimentSettings, "seed")
    tracking, *_ = section_members(ExperimentSettings, "tracking")
    assert not is_number(tracking, "enabled")
    perturbation, *_ = section_members(ExperimentSettings, "perturbation")
    assert is_number(perturbation, "epsilon")


@pytest.mark.parametrize("section", sorted(all_sections(ExperimentSettings), key=str), ids=lambda kind: kind.__name__)
def test_members_of_a_union_name_their_type(section: type[Settings]) -> None:
    """`differences` and the messages rely on it: each member has a `type` of one value, its default."""
    for name, field in section.model_fields.items():
        members = section_members(section, name)
        if len(members) > 1:
            assert field.discriminator == "type"
            assert all(literal_values(member) == (member_type(member),) for member in members)


def literal_values(member: type[Settings]) -> tuple[Any, ...]:
    return get_args(member.model_fields["type"].annotation)
