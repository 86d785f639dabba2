"""What the arms of a study differ in, for its report."""

import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from afrl_ray.config.names import single_values
from afrl_ray.config.study import ArmSettings, ScaleSettings, StudySettings
from afrl_ray.studies.plan import Plan
from afrl_ray.studies.sheet import Section


def arms_section(plan: Plan, robots: Collection[str]) -> list[Section]:
    """What every arm changes and what all runs of `robots` have, against the defaults, with the scale's notes on its
    presets."""
    study, scale = plan.study, plan.scale
    sections = []
    if isinstance(study, StudySettings):
        lines = [f"- {name}: {_changes(arm, scale)}" for name, arm in study.arms.items()]
        used = dict.fromkeys(preset for one in (study, *study.arms.values()) for preset in one.presets)
        notes = [scale.notes[preset] for preset in used if preset in scale.notes]
        sections.append(Section("What the arms differ in", "\n".join([*lines, *(f"\n{note}" for note in notes)])))
    layers = {f"by the scale {plan.scale_name}": scale.settings}
    layers |= {f"{robot} by the scale": own for robot, own in scale.robot_settings.items() if robot in robots}
    layers["by the study"] = _merged((*(scale.presets[preset] for preset in study.presets), study.settings))
    common = [f"- {who}: {listed(settings)}" for who, settings in layers.items() if settings]
    return [*sections, Section("What all runs have, beside the defaults", "\n".join(common))] if common else sections


def _changes(arm: ArmSettings, scale: ScaleSettings) -> str:
    layers = (*(scale.presets[preset] for preset in arm.presets), arm.settings)
    parts = [listed(_merged(layers))] if any(layers) else []
    if arm.match_mean_q is not None:
        parts.append(f"q_max so that the mean of q is that of {arm.match_mean_q}")
    if not arm.trained:
        parts.insert(0, "not fine-tuned")
    return "; ".join(parts) or "nothing"


def _merged(layers: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    return {name: value for layer in layers for name, value in layer.items()}


def listed(settings: Mapping[str, Any]) -> str:
    """Dotted names and values, for people."""
    return "; ".join(f"{name} = {_shown(value)}" for name, value in single_values(settings))


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False).replace('"', "")
