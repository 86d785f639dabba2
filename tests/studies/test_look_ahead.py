"""Mistakes that would show after hours are found before anything runs."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from afrl_ray.config.study import AttackersSettings
from afrl_ray.studies import reproduce as reproducing
from afrl_ray.studies.expand import expand
from afrl_ray.studies.look_ahead import look_ahead
from afrl_ray.studies.plan import Plan

MakePlan = Callable[..., Plan]


def look(plan: Plan) -> None:
    look_ahead({plan.name: expand(plan)}, [plan], plan.output / "stages")


def test_what_is_right_passes(make_plan: MakePlan) -> None:
    look(make_plan({"conditions": ["normal", {"name": "dead", "fault": {"type": "dead_joint", "magnitude": 2}}]}))


@pytest.mark.parametrize(
    ("study", "overrides", "message"),
    [
        ({}, {"attack.optimizer": "CMAA"}, "attack.optimizer=CMAA is not known to nevergrad; near: CMA"),
        ({}, {"perturbation.fault": {"type": "dead_joint", "magnitude": 9}}, "9"),
        ({"conditions": [{"name": "dead", "fault": {"type": "dead_joint", "magnitude": 9}}]}, {}, "9"),
        ({}, {"data.policy": "none.safetensors"}, "none.safetensors"),
        ({}, {"data": {"type": "d4rl", "dataset": "ant-expert-v2"}}, "ant-expert-v2"),
        ({}, {"data": {"type": "minari", "dataset": "nope/nope-v0"}}, "no Minari data set nope/nope-v0"),
    ],
)
def test_mistakes_name_study_arm_and_robot(
    study: dict[str, Any], overrides: dict[str, Any], message: str, make_plan: MakePlan
) -> None:
    with pytest.raises((ValueError, FileNotFoundError), match=rf"^study mine, arm offline, hopper: .*{message}"):
        look(make_plan(study, overrides=overrides))


def test_the_optimizers_of_attackers_are_known(make_plan: MakePlan) -> None:
    budget = {"step_budget": 1000, "searches": 1}

    def plan(*optimizers: str) -> Plan:
        study = {"type": "attackers", "title": "A", "optimizers": optimizers, "scales": {"tiny": budget}}
        return replace(make_plan(), study=AttackersSettings.model_validate(study))

    look(plan("DE", "DE without racing", "PSO"))
    with pytest.raises(ValueError, match="study mine, optimizers: CMAA is not known to nevergrad; near: CMA"):
        look(plan("DE", "CMAA"))


def test_nothing_is_begun(make_plan: MakePlan, tmp_path: Path) -> None:
    output = tmp_path / "out"
    plan = replace(make_plan(overrides={"attack.optimizer": "CMAA"}), output=output)
    with pytest.raises(ValueError, match="CMAA is not known"):
        reproducing.reproduce([plan])
    assert not output.exists()
    output.touch()
    with pytest.raises(ValueError, match=f"--output {output}: {output} is a file; write --output FOLDER"):
        reproducing.reproduce([plan])


def test_attackers_have_something_to_search_for(make_plan: MakePlan) -> None:
    budget = {"step_budget": 1000, "searches": 1}
    study = {"type": "attackers", "title": "A", "optimizers": ["DE", "PSO"], "scales": {"tiny": budget}}
    plan = replace(make_plan(), study=AttackersSettings.model_validate(study))
    with pytest.raises(ValueError, match="study mine: faults of type dead_joint are all tried, whatever the optimizer"):
        look(replace(plan, overrides={"perturbation.fault.type": "dead_joint"}))
    with pytest.raises(ValueError, match=r"attack\.racing\.enabled would change nothing in study mine; write `DE` and"):
        look(replace(plan, overrides={"attack.racing.enabled": False}))
