"""Final policies under test conditions; each policy is measured once under each condition, whoever asks for it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from afrl_ray.config import ConditionSettings
from afrl_ray.config.evaluation import EvaluatedCondition
from afrl_ray.evaluation.tables import read_scores, write_scores
from afrl_ray.networks import Policy
from afrl_ray.perturbations import Body
from afrl_ray.pipeline.artifacts import Stage
from afrl_ray.pipeline.attack import evaluation_banks
from afrl_ray.pipeline.cluster import connect
from afrl_ray.pipeline.conditions import EvaluatedConditions
from afrl_ray.pipeline.evaluate import SCORES, measure
from afrl_ray.pipeline.foundation import Foundation
from afrl_ray.pipeline.identity import content_key
from afrl_ray.pipeline.pretrain import offline_critic


@dataclass(frozen=True)
class Subject:
    """A policy to measure, on the episodes and the evaluation banks of its foundation."""

    foundation: Foundation
    policy: Policy
    name: str
    """For the progress bar."""

    def stage(self, condition: EvaluatedCondition) -> Stage:
        """Where its scores under `condition` are kept."""
        experiment = self.foundation.experiment
        if isinstance(condition, ConditionSettings):
            name, choice, fault = condition.name, condition.condition, experiment.resolved(condition.fault)
        else:
            name, choice, fault = condition, condition, experiment.fault
        details: dict[str, Any] = {
            "condition": name,
            "choice": choice,
            "fault": fault.model_dump(mode="json"),
            "episodes": self.episodes,
        }
        if fault.type == "observation_noise":
            details["sigma"] = "pretrained"  # not the policy's own, as it once was
        if choice == "pgd":
            pgd = experiment.settings.perturbation.pgd.model_dump(mode="json")
            details["pgd"] = {**pgd, "critic": "pretrained"}  # whichever the training had
        inputs = {"policy": self.policy.fingerprint(), "attack": self.foundation.key}
        return experiment.stage("scores", "scores", inputs, **details)

    @property
    def episodes(self) -> int:
        """Test episodes under each condition."""
        return self.foundation.settings.evaluation.episodes

    @property
    def label(self) -> str:
        """Unlike that of any other policy."""
        return f"{self.name} {self.policy.fingerprint()[:8]}"


def measure_all(subjects: Iterable[Subject], conditions: Sequence[EvaluatedCondition]) -> None:
    """Measure what has not been measured yet."""
    groups: dict[object, dict[str, Subject]] = {}
    wanted: dict[object, tuple[EvaluatedCondition, ...]] = {}
    for subject in subjects:
        missing = tuple(condition for condition in conditions if not subject.stage(condition).finished())
        if missing:
            together = (subject.foundation.key, content_key([subject.stage(one).settings for one in missing]))
            wanted[together] = missing
            groups.setdefault(together, {}).setdefault(subject.label, subject)
    for together, group in groups.items():
        _measure_group(list(group.values()), wanted[together])


def scores_of(subject: Subject, conditions: Sequence[EvaluatedCondition]) -> pd.DataFrame:
    """Rows of `evaluate` under all `conditions`, measured before."""
    return pd.concat(
        [read_scores(subject.stage(condition).directory / SCORES) for condition in conditions], ignore_index=True
    )


def _measure_group(subjects: Sequence[Subject], conditions: tuple[EvaluatedCondition, ...]) -> None:
    """Subjects with one foundation, under conditions that none of them has been measured under and that are the same
    for all of them, faults and episodes included."""
    foundation = subjects[0].foundation
    experiment = foundation.experiment
    connect(experiment.settings.runtime)
    needs_critic = any("pgd" in (one, getattr(one, "condition", None)) for one in conditions)
    evaluated = EvaluatedConditions(
        experiment,
        evaluation_banks(experiment, foundation.pretrain),
        offline_critic(foundation.pretrain) if needs_critic else None,
        Body.of(foundation.policy()),
        conditions,
    )
    policies: Mapping[str, Policy] = {subject.label: subject.policy for subject in subjects}
    scores = measure(policies, evaluated, {})
    for subject in subjects:
        for condition in conditions:
            name = condition.name if isinstance(condition, ConditionSettings) else condition
            rows = scores[(scores["policy"] == subject.label) & (scores["condition"] == name)]
            stage = subject.stage(condition)
            stage.begin()
            write_scores(rows.reset_index(drop=True), stage.directory / SCORES)
            stage.finish({"policy": subject.name, "episodes": len(rows)}, experiment.settings.seed)
