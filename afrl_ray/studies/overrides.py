"""Settings that a command may not change in a study: what its arms differ in, and what the study itself decides."""

from collections.abc import Iterator, Mapping
from typing import Any

from afrl_ray.config import ConfigError
from afrl_ray.config.introspection import is_inside, overlap, single_values
from afrl_ray.config.study import (
    AnyStudy,
    AttackersBudget,
    AttackersSettings,
    Overrides,
    ScaleSettings,
    StudyBudget,
    StudySettings,
)
from afrl_ray.studies.plan import Plan, named_robot

_DECIDED = {
    "environment.id": "write --robot with the robot's name or id",
    "seed": "each run has its own; write --seeds N for the seeds 0 to N - 1",
    "name": "all studies share one; keep results apart with --output FOLDER",
    "output": "write --output FOLDER",
    "search": "a study has no search; write the values in the grid of a study file of your own",
}
"""Setting -> what to write instead, in every study."""
_DECIDED_IN_TRAININGS = {
    "finetune.steps": "write steps in the scales of a study file of your own",
    "evaluation.conditions": "write conditions in a study file of your own",
    "evaluation.adaptive_attack": "studies attack no fine-tuned policy afresh; use afrl run",
    "evaluation.adaptive_searches": "studies attack no fine-tuned policy afresh; use afrl run",
}
_DECIDED_IN_ATTACKERS = {
    "attack.optimizer": "write optimizers in a study file of your own",
    "attack.step_budget": "write step_budget in the scales of a study file of your own",
    "attack.racing.enabled": "write `DE` and `DE without racing` in the optimizers of a study file of your own",
    "attack.generations": "searches end with step_budget; write that in the scales of a study file of your own",
}
OF_ALL_RUNS = ("runtime", "tracking")
"""Sections that all trials of a study share, since they run and are logged together."""


def check_settings(plan: Plan) -> None:
    """
    Raises:
        ConfigError: the study, the scale or the command sets what would be overwritten without a word, the scale has
            settings for no robot, an arm or the grid sets what all runs share, or overrides would make arms or cells of
            the grid the same.
    """
    name, study, budget, scale, overrides = plan.name, plan.study, plan.budget, plan.scale, plan.overrides
    decided = _DECIDED | (_DECIDED_IN_TRAININGS if isinstance(study, StudySettings) else _DECIDED_IN_ATTACKERS)
    for place, settings in _places(name, study, budget, overrides):
        _refuse_decided(name, place, settings, decided)
    for place, settings in _of_scale(plan.scale_name, scale):  # which is for all studies
        _refuse_decided(name, place, settings, _DECIDED | _DECIDED_IN_TRAININGS)
    if isinstance(study, AttackersSettings):
        return
    assert isinstance(budget, StudyBudget)
    for place, settings in _of_some_runs(name, study, budget):
        for setting in settings:
            if any(overlap(setting, section) for section in OF_ALL_RUNS):
                raise ConfigError(f"{place} {setting} is the same for all runs; write it after the command's studies")
    for override in overrides:
        for what, setting in _told_apart_by(study, budget, scale):
            if overlap(override, setting):
                raise ConfigError(
                    f"override {override}: {what} of study {name} sets {setting}, and what it tells apart would become "
                    "the same; write a study file of your own with the values that you want"
                )


def _refuse_decided(study: str, place: str, settings: Mapping[str, Any], decided: Mapping[str, str]) -> None:
    for setting, _ in single_values(settings):
        for other, reason in decided.items():
            if is_inside(setting, other):
                raise ConfigError(f"{place} {setting} would change nothing in study {study}; {reason}")


def _places(
    name: str, study: AnyStudy, budget: StudyBudget | AttackersBudget, overrides: Mapping[str, Any]
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(who says so, settings) for all that is written in the study and after the command."""
    yield "override", overrides
    yield f"study {name}, settings:", study.settings
    if isinstance(study, StudySettings) and isinstance(budget, StudyBudget):
        yield from _of_some_runs(name, study, budget)


def _of_some_runs(name: str, study: StudySettings, budget: StudyBudget) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield f"study {name}, grid:", dict.fromkeys((*study.grid, *budget.grid))
    for arm, own in study.arms.items():
        yield f"study {name}, arm {arm}:", own.settings


def _of_scale(name: str, scale: ScaleSettings) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield f"scale {name}, settings:", scale.settings
    for robot, settings in scale.robot_settings.items():
        if named_robot(robot).name != robot:
            raise ConfigError(
                f"scale {name}, robot_settings: {robot} is never looked up; write {named_robot(robot).name}"
            )
        yield f"scale {name}, robot_settings.{robot}:", settings
    for preset, settings in scale.presets.items():
        yield f"scale {name}, presets.{preset}:", settings


def _told_apart_by(study: StudySettings, budget: StudyBudget, scale: ScaleSettings) -> Iterator[tuple[str, str]]:
    """(what sets it, dotted name) for everything that cases of the study differ in."""
    yield from (("the grid", setting) for setting in (*study.grid, *budget.grid))
    for name, arm in study.arms.items():
        presets: list[Overrides] = [scale.presets.get(preset, {}) for preset in arm.presets]
        yield from ((f"arm {name}", setting) for settings in (*presets, arm.settings) for setting in settings)
        if arm.match_mean_q is not None:
            yield f"arm {name}", "curriculum.q_max"
