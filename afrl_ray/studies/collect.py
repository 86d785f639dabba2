"""What a study's cases left in the store, as two tables."""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from afrl_ray.config import ExperimentSettings, with_settings
from afrl_ray.config.study import StudySettings
from afrl_ray.curriculum.schedules import matching_q_max, mean_q, total_evaluations
from afrl_ray.networks import load_policy_file
from afrl_ray.pipeline.artifacts import Stage
from afrl_ray.pipeline.foundation import Foundation
from afrl_ray.pipeline.runs.run import PolicyKind, TrainingRun
from afrl_ray.studies.measure import Subject, scores_of
from afrl_ray.studies.plan import Case

POLICY_KINDS: tuple[PolicyKind, ...] = ("final", "best")


@dataclass(frozen=True)
class Findings:
    """Everything that tables and figures are made of."""

    scores: pd.DataFrame
    """Rows of `evaluate`: policy is `final` or `best`, and there are arm, robot, step (0 for a pretrained policy), data
    (the average score of an episode of the data) and a column for each setting of the grid."""
    curves: pd.DataFrame
    """Validation scores and q of every evaluation: arm, robot, seed, env_steps, q, normal, random, adversarial, mean,
    q_max (NaN where q is not linear), match (the arm whose mean q it was given, or nothing) and a column for each
    setting of the grid; empty where nothing was trained."""


def foundation_of(case: Case, store: Path) -> Foundation:
    """What the case starts from."""
    return Foundation(case.settings, store)


def run_of(case: Case, store: Path) -> TrainingRun:
    """The training behind a trained case; where its q_max follows another's q, that one must be finished.

    Raises:
        ValueError: it is not.
    """
    settings = case.settings
    if case.match is not None:
        curve = run_of(case.match, store).curve()
        mean = mean_q([row["env_steps"] for row in curve], [row["q"] for row in curve])
        q_max = matching_q_max(mean, total_evaluations(settings.finetune))
        settings = with_settings(settings, {"curriculum.q_max": round(q_max, 6)})
    return TrainingRun(case.name, settings, store=store, policy_interval=case.policy_interval, varied=case.varied)


@dataclass(frozen=True)
class Outcome:
    """A finished case, with the policies that are measured of it."""

    case: Case
    foundation: Foundation
    run: TrainingRun | None
    """None where it is not trained."""
    policies: tuple[tuple[int, PolicyKind, Subject], ...]
    """(step, kind, policy)"""

    @property
    def settings(self) -> ExperimentSettings:
        """As it was run: with the q_max that was matched."""
        return self.case.settings if self.run is None else self.run.settings


def outcome_of(case: Case, store: Path) -> Outcome:
    """Reads the policies of a finished case."""
    foundation = foundation_of(case, store)
    if not case.trained:
        subject = Subject(foundation, foundation.policy(), case.name)
        return Outcome(case, foundation, None, tuple((0, kind, subject) for kind in POLICY_KINDS))
    run = run_of(case, store)
    run.stage.refresh()
    policies = []
    for step in case.reads:
        for kind in POLICY_KINDS:
            policy = load_policy_file(run.policy_file(step, kind))[0]
            policies.append((step, kind, Subject(run.foundation, policy, f"{case.name} {kind} at {step}")))
    return Outcome(case, foundation, run, tuple(policies))


def stages_of(study: StudySettings, outcome: Outcome) -> Iterator[Stage]:
    """Everything that the results of a finished case were made in."""
    foundation = outcome.foundation
    yield from (foundation.data, foundation.pretrain, foundation.attack)
    if outcome.run is not None:
        yield outcome.run.stage
    for _, _, subject in outcome.policies:
        yield from (subject.stage(condition) for condition in study.conditions)


def collect(study: StudySettings, outcomes: Sequence[Outcome]) -> Findings:
    """The findings of finished cases whose policies have been measured."""
    scores, curves = [], []
    for outcome in outcomes:
        case, run = outcome.case, outcome.run
        labels = labels_of(case)
        data_score = _data_score(outcome.foundation)
        for step, kind, subject in outcome.policies:
            rows = scores_of(subject, study.conditions)
            scores.append(rows.assign(policy=kind, step=step, data=data_score, **labels))
        if run is not None:
            q_max = getattr(run.settings.curriculum, "q_max", math.nan)
            match = case.match.arm if case.match else ""
            curves.append(pd.DataFrame(run.curve()).assign(seed=case.seed, q_max=q_max, match=match, **labels))
    return Findings(
        scores=pd.concat(scores, ignore_index=True) if scores else pd.DataFrame(),
        curves=pd.concat(curves, ignore_index=True) if curves else pd.DataFrame(),
    )


def labels_of(case: Case) -> dict[str, Any]:
    """The columns that all its rows have."""
    return {"arm": case.arm, "robot": case.robot, **{name: _cell(value) for name, value in case.varied.items()}}


def _cell(value: Any) -> Any:
    """A value of the grid as one cell of a table."""
    return json.dumps(value) if isinstance(value, list | dict) else value


def _data_score(foundation: Foundation) -> float:
    """Of an average episode of the data, in the units of scores; NaN where the data do not say."""
    outputs = (foundation.data.finished() or {}).get("outputs", {})
    known = [outputs[name] for name in ("mean_score", "mean_return") if outputs.get(name) is not None]
    return float(known[0]) if known else math.nan
