"""What the arms of a study differ in, for its report."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from afrl_ray.config import FaultSettings
from afrl_ray.config.introspection import differences, single_values
from afrl_ray.config.study import StudySettings
from afrl_ray.pipeline.experiment import Experiment
from afrl_ray.pipeline.identity import result_identity
from afrl_ray.studies.plan import Case, Plan
from afrl_ray.studies.sheet import Section

_TOLD_ELSEWHERE = ("seed", "environment.id", "finetune.steps", "evaluation.conditions")
"""By the report's head and tables."""


def arms_section(plan: Plan, cases: Sequence[Case]) -> list[Section]:
    """What all runs have against the defaults, what every robot and arm has besides, and the scale's notes on presets.

    Only what has an effect is listed.
    """
    effective = {case.name: _Effective.of(case) for case in cases}

    def shared(**labels: str) -> dict[str, Any]:
        chosen = [case for case in cases if all(getattr(case, name) == value for name, value in labels.items())]
        return _shared([effective[case.name] for case in chosen])

    common = shared()
    of_robot = {robot: shared(robot=robot) for robot in dict.fromkeys(case.robot for case in cases)}
    sections = []
    if isinstance(plan.study, StudySettings):
        lines = []
        for case in {case.arm: case for case in cases}.values():
            of_arm = shared(arm=case.arm)
            lines.append(f"- {case.arm}: {_changes(case, _beyond(of_arm, common))}")
            for robot, known in of_robot.items():
                rest = _beyond(shared(arm=case.arm, robot=robot), of_arm | known)
                lines += [f"- {case.arm}, {robot}: {listed(rest)}"] if rest else []
        notes = [*_own_faults(cases), *_notes(plan, plan.study)]
        sections.append(Section("What the arms differ in", "\n".join([*lines, *notes])))
    every = {"all": common} | {robot: _beyond(own, common) for robot, own in of_robot.items()}
    text = "\n".join(f"- {who}: {listed(settings)}" for who, settings in every.items() if settings)
    return [*sections, Section("What all runs have, beside the defaults", text)] if text else sections


@dataclass(frozen=True)
class _Effective:
    """The settings of a case that have an effect on it, by dotted name."""

    trained: bool
    every: Mapping[str, Any]
    changed: Mapping[str, Any]
    """Those that are not the defaults."""

    @classmethod
    def of(cls, case: Case) -> "_Effective":
        every = dict(single_values(result_identity(case.settings, case.trained)))
        for name in _TOLD_ELSEWHERE:
            every.pop(name, None)
        changed = single_values(differences(case.settings))
        return cls(case.trained, every, {name: value for name, value in changed if name in every})

    def has(self, name: str, value: Any) -> bool:
        """Whether it has this value, or knows no such setting because it is not trained."""
        return self.every[name] == value if name in self.every else not self.trained


def _shared(cases: Sequence[_Effective]) -> dict[str, Any]:
    """What they all have changed, or all those that are trained."""
    first = next((case for case in cases if case.trained), cases[0])
    return {name: value for name, value in first.changed.items() if all(case.has(name, value) for case in cases)}


def _beyond(settings: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name not in known}


def _changes(case: Case, settings: Mapping[str, Any]) -> str:
    parts = [listed(settings)] if settings else []
    if case.match is not None:
        parts.append(f"q_max so that the mean of q is that of {case.match.arm}")
    if not case.trained:
        parts.insert(0, "not fine-tuned")
    return "; ".join(parts) or "nothing"


def _notes(plan: Plan, study: StudySettings) -> list[str]:
    used = dict.fromkeys(preset for one in (study, *study.arms.values()) for preset in one.presets)
    return [f"\n{plan.scale.notes[preset]}" for preset in used if preset in plan.scale.notes]


def _own_faults(cases: Sequence[Case]) -> list[str]:
    """What a reader has to know where one column of a table is not the same for all rows."""
    faults: dict[str, set[FaultSettings]] = {}
    for case in cases:
        faults.setdefault(case.robot, set()).add(Experiment(case.settings).fault)
    own = "\nThe arms have different faults, and each is tested under its own."
    return [own] if any(len(found) > 1 for found in faults.values()) else []


def listed(settings: Mapping[str, Any]) -> str:
    """Dotted names and values, for people."""
    return "; ".join(f"{name} = {_shown(value)}" for name, value in single_values(settings))


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False).replace('"', "")
