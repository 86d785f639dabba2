"""Results of a study that are there already, of runs whose stages are gone or on another machine."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from afrl_ray.config.study import AttackersSettings
from afrl_ray.pipeline.artifacts import content_key, read_json
from afrl_ray.studies.collect import Findings
from afrl_ray.studies.overrides import content
from afrl_ray.studies.plan import Case, Plan
from afrl_ray.studies.results import CURVES, SCORES

STUDY = "study.json"
MADE_OF = "made of"
EARLIER = "earlier results"


def made_of(plan: Plan, cases: Sequence[Case]) -> dict[str, Any]:
    """Whatever the results depend on: what is drawn, how much is done, and the content of every case."""
    drawn = plan.study.model_dump(mode="json", include={"results", "conditions", "optimizers"})
    size = plan.budget.model_dump(mode="json", exclude={"seeds", "robots", "grid"})
    contents = {case.name: content_key(content(case.settings, case.trained)) for case in cases}
    return {"drawn": drawn, "size": size, "cases": contents}


@dataclass(frozen=True)
class Earlier:
    """Results in a folder, and the cases of a study whose results they hold."""

    directory: Path
    facts: Mapping[str, Any]
    """Its study.json."""
    cases: tuple[Case, ...]
    findings: Findings
    """Those of the cases."""

    @property
    def settings(self) -> dict[str, Any]:
        """What each case was run with, as JSON has it, by the case's name."""
        return {case.name: self.facts["settings"][case.name] for case in self.cases}

    @property
    def commits(self) -> list[str]:
        """That the work was done at."""
        return list(self.facts["commits of the work"])

    def origins(self) -> list[dict[str, Any]]:
        """Which command made which of these runs at which commit, with which versions."""
        left = list(dict.fromkeys(map(_run, self.cases)))
        origins = []
        for origin in self.facts.get(EARLIER, []):
            if runs := [run for run in origin["runs"] if run in left]:
                origins.append({**origin, "runs": runs})
                left = [run for run in left if run not in runs]
        if left:
            origins.append({"runs": left, **{name: self.facts[name] for name in ("command", "commit", "versions")}})
        return origins


def earlier_results(plan: Plan, cases: Sequence[Case], directory: Path) -> Earlier | None:
    """The results in `directory`, of all robots and seeds that it has every case of, with the same settings.

    A robot's seed is taken whole or not at all: where some of its runs are missing, they may depend on the others.

    Returns:
        None where there are no results.

    Raises:
        ValueError: they are of another study, conditions, steps or settings than the plan's.
    """
    if not (directory / STUDY).exists():
        return None
    if isinstance(plan.study, AttackersSettings):
        raise ValueError(f"{directory}: searches of attackers are not reused; leave --reuse out for study {plan.name}")
    facts = read_json(directory / STUDY)
    if "settings" not in facts:
        raise ValueError(f"{directory} holds results that were never finished; name another folder with --reuse")
    mine, theirs = made_of(plan, cases), facts[MADE_OF]
    for part, what in (("drawn", "other results or conditions"), ("size", "other steps")):
        if mine[part] != theirs[part]:
            raise ValueError(f"{directory} has {what} than study {plan.name} at scale {plan.scale_name}")
    same = {name for name, key in mine["cases"].items() if theirs["cases"].get(name) == key}
    missing = {_run(case) for case in cases if case.name not in same}
    found = tuple(case for case in cases if _run(case) not in missing)
    if not found:
        raise ValueError(f"{directory} has no robot's seed with all runs of study {plan.name} and the same settings")
    return Earlier(directory, facts, found, _findings(directory, found))


def joined(cases: Sequence[Case], *parts: Findings) -> Findings:
    """All findings, in the order of the cases."""
    every = ([part.scores for part in parts], [part.curves for part in parts])
    scores, curves = ([table for table in tables if len(table)] for tables in every)
    return Findings(*(_of(cases, pd.concat(tables) if tables else pd.DataFrame()) for tables in (scores, curves)))


def _findings(directory: Path, cases: Sequence[Case]) -> Findings:
    scores, path = pd.read_parquet(directory / SCORES), directory / f"{CURVES}.csv"
    curves = pd.read_csv(path, float_precision="round_trip") if path.exists() else pd.DataFrame()
    if len(curves):
        curves = curves.assign(match=curves["match"].fillna("").astype(str))
    return Findings(_of(cases, scores), _of(cases, curves))


def _of(cases: Sequence[Case], rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of the cases, in their order."""
    if not len(rows):
        return rows
    groups = dict(iter(rows.groupby(["arm", "robot", "seed"], sort=False)))
    labels = [(case.arm, case.robot, case.seed) for case in cases]
    return pd.concat([groups[label] for label in labels if label in groups], ignore_index=True)


def _run(case: Case) -> str:
    """A robot and a seed."""
    return f"{case.robot} {case.seed}"
