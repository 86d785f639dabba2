"""The report of a study, which shows all results, and study.json, which says what they came from."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from afrl_ray.config.location import without_passwords
from afrl_ray.config.study import AttackersBudget, StudyBudget
from afrl_ray.pipeline.artifacts import (
    Stage,
    command_line,
    git_commit,
    package_versions,
    read_json,
    write_json,
)
from afrl_ray.pipeline.mirror import Mirror
from afrl_ray.pipeline.progress import say
from afrl_ray.storage import replacing
from afrl_ray.studies.arms import arms_section, listed
from afrl_ray.studies.earlier import Earlier
from afrl_ray.studies.plan import Case, Plan
from afrl_ray.studies.record import COMMITS, EARLIER, MADE_OF, STUDY, made_of
from afrl_ray.studies.sheet import Section

REPORT = "report.md"


@dataclass(frozen=True)
class Origin:
    """Where the results of a study come from."""

    settings: Mapping[str, Any]
    """What each case was run with, as JSON has it, by the case's name."""
    stages: Sequence[Stage]
    """What the work was done in."""
    earlier: Earlier | None = None
    """Where the other cases' results are from."""


def begin_results(directory: Path, plan: Plan, cases: Sequence[Case], mirror: Mirror | None = None) -> None:
    """Make `directory` ready: results in it that these would not replace one by one are moved away first.

    Those are of other settings, another study, or more robots, seeds and arms. They stay beside it, as
    NAME.replaced-TIME.

    Raises:
        ValueError: the directory holds files that no study has made.
    """
    if mirror is not None and (index := mirror.index()) is not None:
        mirror.fetch(directory, index)
    require_results_folder(directory)
    new = made_of(plan, cases)
    if (known := _known(directory)) is not None and not _replaces(new, known.get(MADE_OF)):
        aside = directory.with_name(f"{directory.name}.replaced-{time.time_ns()}")
        shown = mirror.move_aside(aside.name) if mirror is not None else aside
        directory.replace(aside)
        say(f"{plan.name}: earlier results, made of other seeds or settings, are kept in {shown}")
    write_json(directory / STUDY, _facts(plan, cases) | {MADE_OF: new})


def require_results_folder(directory: Path) -> None:
    """
    Raises:
        ValueError: the directory holds files that no study has made, or is itself a file.
    """
    if not directory.exists() or _known(directory) is not None:
        return
    if any(not file.name.startswith(".") for file in directory.iterdir()):
        raise ValueError(
            f"{directory} holds files that no study has made; move them away, or write --output with another folder"
        )


def _known(directory: Path) -> dict[str, Any] | None:
    """What study.json in the results folder says; None where there is none.

    Raises:
        ValueError: it is damaged, or the folder is a file.
    """
    if directory.exists() and not directory.is_dir():
        raise ValueError(f"{directory} is a file; move it away, or write --output with another folder")
    if not (directory / STUDY).exists():
        return None
    try:
        if not isinstance(facts := read_json(directory / STUDY), dict):
            raise ValueError("it is no mapping")
        return facts
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{directory / STUDY} is damaged ({error}); move {directory} away, or write --output with another folder"
        ) from error


def write_report(
    plan: Plan, cases: Sequence[Case], origin: Origin, sections: Sequence[Section], directory: Path
) -> None:
    """report.md and study.json, with the origin's settings and the commits that its work was done at."""
    facts = _facts(plan, cases) | {COMMITS: _commits(origin)}
    origins = origin.earlier.origins if origin.earlier is not None else []
    lines = [f"# {plan.study.title}", "", *([f"Regenerates: {source}.", ""] if (source := plan.study.source) else [])]
    lines += [f"- {name}: {_shown(value)}" for name, value in facts.items() if value not in ({}, [], None)]
    for known in origins:
        told = {name: value for name, value in known.items() if name != "versions" and value != {}}
        lines.append(f"- from {EARLIER}: {_shown(told)}")
    for section in (*arms_section(plan, cases), *sections):
        lines += ["", f"## {section.title}", "", section.text.rstrip()]
    with replacing(directory / REPORT) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
    write_json(
        directory / STUDY,
        {
            **facts,
            "versions": package_versions(),
            "plan": plan.study.model_dump(mode="json"),
            "settings": {case.name: origin.settings[case.name] for case in cases},
            **({EARLIER: origins} if origins else {}),
            MADE_OF: made_of(plan, cases),
        },
    )


def _replaces(new: Mapping[str, Any], old: object) -> bool:
    """Whether nothing of the results made of `old` is lost when those made of `new` are written over them."""
    if not isinstance(old, Mapping) or not isinstance(old.get("cases"), Mapping):
        return False
    same = all(old.get(name) == new[name] for name in ("drawn", "size"))
    return same and all(new["cases"].get(name) == content for name, content in old["cases"].items())


def _facts(plan: Plan, cases: Sequence[Case]) -> dict[str, Any]:
    return {
        "study": plan.name,
        "scale": plan.scale_name,
        "command": command_line(),
        "commit": git_commit(),
        "robots": list(dict.fromkeys(case.robot for case in cases)),
        "seeds": sorted({case.seed for case in cases}),
        **_budget(plan, cases),
        "offline updates": sorted({case.settings.pretrain.updates for case in cases}),
        "settings changed on the command line": without_passwords(dict(plan.overrides)),
    }


def _commits(origin: Origin) -> list[str]:
    """Of all stages that are finished, and of earlier results."""
    manifests = [stage.finished() for stage in {stage.directory: stage for stage in origin.stages}.values()]
    commits = {str(manifest["commit"]) for manifest in manifests if manifest and manifest["commit"]}
    return sorted(commits | set(origin.earlier.commits if origin.earlier is not None else []))


def _budget(plan: Plan, cases: Sequence[Case]) -> dict[str, Any]:
    if isinstance(plan.budget, StudyBudget):
        steps = {"environment steps of each fine-tuning": plan.budget.steps}
        episodes = sorted({case.settings.evaluation.episodes for case in cases})
        return (steps if any(case.trained for case in cases) else {}) | {"test episodes per condition": episodes}
    assert isinstance(plan.budget, AttackersBudget)
    return {
        "environment steps of each search": plan.budget.step_budget,
        "searches": plan.budget.searches,
        "episodes of a candidate without racing": plan.budget.plain_episodes,
        "episodes that what was found is measured on": plan.budget.measuring_episodes,
    }


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return listed(value)
    if isinstance(value, list):
        return ", ".join(_shown(item) for item in value)
    return f"{value:,}" if isinstance(value, int) else str(value)
