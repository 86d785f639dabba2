"""The report of a study, which shows all results, and study.json, which says what they came from."""

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from afrl_ray.config.location import without_passwords
from afrl_ray.config.names import is_inside
from afrl_ray.config.study import AttackersBudget, StudyBudget
from afrl_ray.evaluation.files import replacing
from afrl_ray.pipeline.artifacts import Stage, command_line, git_commit, package_versions, read_json, write_json
from afrl_ray.pipeline.mirror import Mirror
from afrl_ray.pipeline.progress import say
from afrl_ray.studies.arms import arms_section
from afrl_ray.studies.collect import foundation_of, run_of
from afrl_ray.studies.expand import Case, Plan
from afrl_ray.studies.overrides import OF_ALL_RUNS
from afrl_ray.studies.sheet import Section

REPORT = "report.md"
_STUDY = "study.json"
_CHANGED = "settings changed on the command line"
_MADE_BY = ("plan", "scale", "robots", _CHANGED)
"""What results are the same study's by."""


def write_report(plan: Plan, cases: Sequence[Case], store: Path, sections: Sequence[Section], directory: Path) -> None:
    """report.md and study.json, with the commits that the work was done at."""
    facts = _facts(plan, cases) | {"commits of the work": _commits(cases, store)}
    lines = [f"# {plan.study.title}", "", plan.study.source and f"Regenerates: {plan.study.source}.", ""]
    shown = {name: value for name, value in facts.items() if name != "plan" and value not in ({}, None)}
    lines += [f"- {name}: {_shown(value)}" for name, value in shown.items()]
    for section in (*arms_section(plan), *sections):
        lines += ["", f"## {section.title}", "", section.text.rstrip()]
    with replacing(directory / REPORT) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
    runs = [run_of(case, store) for case in cases if case.trained]
    write_json(
        directory / _STUDY,
        {
            **facts,
            "versions": package_versions(),
            "runs": {run.stage.directory.name: run.settings.model_dump(mode="json") for run in runs},
        },
    )


def set_aside(directory: Path, plan: Plan, cases: Sequence[Case], mirror: Mirror | None = None) -> None:
    """Move results away from `directory` that these would not continue: of another study, other settings, more seeds.

    They stay beside it, as NAME.replaced-TIME.
    """
    if mirror is not None and (index := mirror.index()) is not None:
        mirror.fetch(directory, index)
    if not (directory / _STUDY).exists():
        return
    before, now = read_json(directory / _STUDY), json.loads(json.dumps(_facts(plan, cases)))
    same = all(_decisive(before.get(name)) == _decisive(now[name]) for name in _MADE_BY)
    if same and set(before.get("seeds", ())) <= set(now["seeds"]):
        return
    aside = directory.with_name(f"{directory.name}.replaced-{time.time_ns()}")
    if mirror is not None:
        mirror.move_aside(aside.name)
    directory.replace(aside)
    say(f"{plan.name}: earlier results, made of other seeds or settings, are kept in {aside}")


def _facts(plan: Plan, cases: Sequence[Case]) -> dict[str, Any]:
    return {
        "study": plan.name,
        "scale": plan.scale_name,
        "command": command_line(),
        "commit": git_commit(),
        "robots": list(dict.fromkeys(case.robot for case in cases)),
        "seeds": sorted({case.seed for case in cases}),
        **_budget(plan),
        "offline updates": sorted({case.settings.pretrain.updates for case in cases}),
        "test episodes per condition": sorted({case.settings.evaluation.episodes for case in cases}),
        _CHANGED: without_passwords(dict(plan.overrides)),
        "plan": plan.study.model_dump(mode="json"),
    }


def _decisive(value: Any) -> Any:
    """`value`, of settings only those that results depend on."""
    if not isinstance(value, Mapping):
        return value
    return {name: one for name, one in value.items() if not any(is_inside(name, section) for section in OF_ALL_RUNS)}


def _commits(cases: Sequence[Case], store: Path) -> list[str]:
    """Of every pretraining, bank and fine-tuning that is finished."""
    stages: dict[str, Stage] = {}
    for case in cases:
        foundation = foundation_of(case, store)
        found = [foundation.pretrain, foundation.attack, *([run_of(case, store).stage] if case.trained else [])]
        stages |= {stage.key: stage for stage in found}
    manifests = [stage.finished() for stage in stages.values()]
    return sorted({str(manifest["commit"]) for manifest in manifests if manifest and manifest["commit"]})


def _budget(plan: Plan) -> dict[str, int]:
    if isinstance(plan.budget, StudyBudget):
        is_trained = any(arm.trained for arm in getattr(plan.study, "arms", {}).values())
        return {"environment steps of each fine-tuning": plan.budget.steps} if is_trained else {}
    assert isinstance(plan.budget, AttackersBudget)
    return {
        "environment steps of each search": plan.budget.step_budget,
        "searches": plan.budget.searches,
        "episodes of a candidate without racing": plan.budget.plain_episodes,
        "episodes that what was found is measured on": plan.budget.measuring_episodes,
    }


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(_shown(item) for item in value)
    return f"{value:,}" if isinstance(value, int) else str(value)
