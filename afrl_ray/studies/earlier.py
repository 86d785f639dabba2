"""Results of a study that are there already, of runs whose stages are gone or on another machine."""

import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from afrl_ray.config.study import StudySettings
from afrl_ray.curriculum.schedules import total_evaluations
from afrl_ray.evaluation.conditions import CONDITIONS
from afrl_ray.pipeline.artifacts import read_json
from afrl_ray.studies.collect import POLICY_KINDS, Findings, labels_of
from afrl_ray.studies.plan import Case, Plan
from afrl_ray.studies.record import COMMITS, EARLIER, MADE_OF, STUDY, made_of
from afrl_ray.studies.results import CURVES, SCORES_FILE

_ORIGIN = ("command", "commit", "settings changed on the command line", "versions")
_TEXTS = ("arm", "robot", "match")
"""Columns of curves that are no numbers."""
_NUMBERS_OF_SCORES = ("seed", "step", "episode", "return", "normalised_score", "data")
_NUMBERS_OF_CURVES = ("env_steps", "q", "q_max", *CONDITIONS)


@dataclass(frozen=True)
class Earlier:
    """Results in a folder, and the cases of a study whose results they hold."""

    cases: tuple[Case, ...]
    findings: Findings
    settings: Mapping[str, Any]
    """What each case was run with, as JSON has it, by the case's name."""
    commits: Sequence[str]
    """That the work of all results in the folder was done at."""
    origins: Sequence[Mapping[str, Any]]
    """Which command made which runs, a robot and a seed each, at which commit, with which versions."""


def earlier_results(plan: Plan, cases: Sequence[Case], directory: Path) -> Earlier | None:
    """The results in `directory`, of all robots and seeds that it has every case of, with the same settings.

    A robot's seed is taken whole or not at all: where some of its runs are missing, they may depend on the others.

    Returns:
        None where there are no results, or none of trainings.

    Raises:
        ValueError: they are of another study, conditions, steps or settings than the plan's, or damaged.
    """
    if not isinstance(plan.study, StudySettings) or not (directory / STUDY).exists():
        return None
    with _reading(directory):
        facts = read_json(directory / STUDY)
        theirs = facts[MADE_OF]
        parts, their_cases = [theirs[part] for part in ("drawn", "size")], dict(theirs["cases"])
        is_finished = "settings" in facts
    if not is_finished:
        raise ValueError(f"{directory} holds results that were never finished; name another folder with --reuse")
    mine = made_of(plan, cases)
    for part, wanted, what in zip(
        parts, (mine["drawn"], mine["size"]), ("results or conditions", "steps"), strict=True
    ):
        if part != wanted:
            raise ValueError(f"{directory} has other {what} than study {plan.name} at scale {plan.scale_name}")
    missing = {_run(case) for case in cases if their_cases.get(case.name) != mine["cases"][case.name]}
    with _reading(directory):  # which earlier versions left out of what results are made of
        missing |= {_run(case) for case in cases if case.name in their_cases and _saved_otherwise(case, facts)}
    found = tuple(case for case in cases if _run(case) not in missing)
    if not found:
        raise ValueError(f"{directory} has no robot's seed with all runs of study {plan.name} and the same settings")
    with _reading(directory):
        findings = Findings(scores=_scores(directory, plan.study, found), curves=_curves(directory, found))
        settings = {case.name: facts["settings"][case.name] for case in found}
        if not all(isinstance(commit, str) for commit in facts[COMMITS]):
            raise ValueError(f"{STUDY}: {COMMITS} are no texts")
        return Earlier(found, findings, settings, list(facts[COMMITS]), _origins(facts, found))


def _saved_otherwise(case: Case, facts: Mapping[str, Any]) -> bool:
    """Whether the case's training had other checkpoints, at each of which episodes begin anew."""
    theirs = facts["settings"][case.name]["finetune"]["checkpoint_interval"]
    return bool(case.trained and theirs != case.settings.finetune.checkpoint_interval)


def joined(cases: Sequence[Case], *parts: Findings) -> Findings:
    """All findings, in the order of the cases."""
    scores = [part.scores for part in parts if len(part.scores)]
    curves = [part.curves for part in parts if len(part.curves)]
    return Findings(scores=_in_order(cases, scores), curves=_in_order(cases, curves))


def _in_order(cases: Sequence[Case], tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    groups = {label: rows for table in tables for label, rows in table.groupby(["arm", "robot", "seed"], sort=False)}
    found = [groups[label] for case in cases if (label := (case.arm, case.robot, case.seed)) in groups]
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame()


def _scores(directory: Path, study: StudySettings, cases: Sequence[Case]) -> pd.DataFrame:
    """The rows of the cases, each with all of its policies, conditions and episodes."""
    rows = _in_order(cases, [pd.read_parquet(directory / SCORES_FILE)])
    _require_numbers(rows, _NUMBERS_OF_SCORES, SCORES_FILE)
    for case in cases:
        steps, episodes = case.reads if case.trained else (0,), range(case.settings.evaluation.episodes)
        wanted = set(itertools.product(POLICY_KINDS, steps, study.condition_names, episodes))
        own = _rows_of(case, rows)[["policy", "step", "condition", "episode"]]
        _require(len(own) == len(wanted) and set(own.itertuples(index=False)) == wanted, SCORES_FILE, case)
    return rows


def _curves(directory: Path, cases: Sequence[Case]) -> pd.DataFrame:
    """The rows of the trained cases, each with all of its evaluations; numbers exactly as they were written."""
    trained = [case for case in cases if case.trained]
    if not trained:
        return pd.DataFrame()
    file = f"{CURVES}.csv"
    rows = pd.read_csv(directory / file, dtype=str, keep_default_na=False).astype({"seed": int})
    rows = _in_order(trained, [rows])
    for name in rows.columns.difference([*_TEXTS, "seed", *trained[0].varied]):
        rows[name] = [json.loads(text) if text else math.nan for text in rows[name]]
    _require_numbers(rows, _NUMBERS_OF_CURVES, file)
    labelled = []
    for case in trained:
        own = _rows_of(case, rows)
        evaluations, steps = total_evaluations(case.settings.finetune) + 1, own["env_steps"]
        _require(len(own) == steps.nunique() == evaluations and steps.max() >= case.reads[-1], file, case)
        labelled.append(own.assign(**labels_of(case)))
    return pd.concat(labelled, ignore_index=True)


def _rows_of(case: Case, rows: pd.DataFrame) -> pd.DataFrame:
    return rows[(rows["arm"] == case.arm) & (rows["robot"] == case.robot) & (rows["seed"] == case.seed)]


def _require(is_complete: bool, file: str, case: Case) -> None:
    if not is_complete:
        raise ValueError(f"{file} does not have all rows of {case.name}")


def _require_numbers(rows: pd.DataFrame, columns: Sequence[str], file: str) -> None:
    wrong = [name for name in columns if not pd.api.types.is_numeric_dtype(rows[name])]
    if wrong:
        raise ValueError(f"{file} has no numbers in column {wrong[0]}")


def _origins(facts: Mapping[str, Any], cases: Sequence[Case]) -> list[dict[str, Any]]:
    left = list(dict.fromkeys(map(_run, cases)))
    origins = []
    for origin in facts.get(EARLIER, []):
        if runs := [run for run in origin["runs"] if run in left]:
            origins.append({**origin, "runs": runs})
            left = [run for run in left if run not in runs]
    if left:
        origins.append({"runs": left, **{name: facts[name] for name in _ORIGIN}})
    return origins


def _run(case: Case) -> str:
    """A robot and a seed."""
    return f"{case.robot} {case.seed}"


@contextmanager
def _reading(directory: Path) -> Iterator[None]:
    """
    Raises:
        ValueError: a file of the folder is not as a study writes it, or is not there.
    """
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        what = f"{error} is missing" if isinstance(error, KeyError | FileNotFoundError) else str(error)
        raise ValueError(f"{directory} holds damaged results: {what}; name another folder with --reuse") from error
