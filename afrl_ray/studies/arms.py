"""What the arms of a study differ in, for its report."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from afrl_ray.config.study import ArmSettings, ScaleSettings, StudySettings
from afrl_ray.studies.expand import Plan
from afrl_ray.studies.sheet import Section


def arms_section(plan: Plan) -> list[Section]:
    """Every arm with what it changes in the scale's and the study's settings, and the scale's notes on its presets."""
    study = plan.study
    if not isinstance(study, StudySettings):
        return []
    lines = [f"- {name}: {_changes(arm, plan.scale)}" for name, arm in study.arms.items()]
    used = dict.fromkeys(preset for one in (study, *study.arms.values()) for preset in one.presets)
    notes = [plan.scale.notes[preset] for preset in used if preset in plan.scale.notes]
    return [Section("What the arms differ in", "\n".join([*lines, *(f"\n{note}" for note in notes)]))]


def _changes(arm: ArmSettings, scale: ScaleSettings) -> str:
    layers = (*(scale.presets[preset] for preset in arm.presets), arm.settings)
    parts = [f"{name} = {_shown(value)}" for name, value in _merged(layers).items()]
    if arm.match_mean_q is not None:
        parts.append(f"q_max so that the mean of q is that of {arm.match_mean_q}")
    if not arm.trained:
        parts.insert(0, "not fine-tuned")
    return "; ".join(parts) or "nothing"


def _merged(layers: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    return {name: value for layer in layers for name, value in layer.items()}


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False).replace('"', "")
