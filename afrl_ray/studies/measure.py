"""Final policies under test conditions; each policy is measured once under each condition, whoever asks for it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from afrl_ray.config import Condition
from afrl_ray.evaluation.tables import read_scores, write_scores
from afrl_ray.networks import Policy
from afrl_ray.pipeline.artifacts import Stage
from afrl_ray.pipeline.attack import load_bank
from afrl_ray.pipeline.cluster import connect
from afrl_ray.pipeline.evaluate import SCORES, measure
from afrl_ray.studies.foundations import Foundation


@dataclass(frozen=True)
class Subject:
    """A policy to measure, on the episodes and the evaluation bank of its foundation."""

    foundation: Foundation
    policy: Policy
    name: str
    """For the progress bar."""

    def stage(self, condition: Condition) -> Stage:
        """Where its scores under `condition` are kept."""
        experiment = self.foundation.experiment
        inputs = {"policy": self.policy.fingerprint(), "attack": self.foundation.key}
        return experiment.stage(
            "scores", (), inputs, condition=condition, episodes=self.episodes, epsilon=experiment.epsilon
        )

    @property
    def episodes(self) -> int:
        """Test episodes under each condition."""
        return self.foundation.settings.evaluation.episodes

    @property
    def label(self) -> str:
        """Unlike that of any other policy."""
        return f"{self.name} {self.policy.fingerprint()[:8]}"


def measure_all(subjects: Iterable[Subject], conditions: Sequence[Condition]) -> None:
    """Measure what has not been measured yet."""
    groups: dict[tuple[str, int, tuple[Condition, ...]], dict[str, Subject]] = {}
    for subject in subjects:
        missing = tuple(condition for condition in conditions if not subject.stage(condition).finished())
        if missing:
            group = groups.setdefault((subject.foundation.key, subject.episodes, missing), {})
            group.setdefault(subject.label, subject)
    for (*_, missing), group in groups.items():
        _measure_group(list(group.values()), missing)


def scores_of(subject: Subject, conditions: Sequence[Condition]) -> pd.DataFrame:
    """Rows of `evaluate` under all `conditions`, measured before."""
    return pd.concat(
        [read_scores(subject.stage(condition).directory / SCORES) for condition in conditions], ignore_index=True
    )


def _measure_group(subjects: Sequence[Subject], conditions: tuple[Condition, ...]) -> None:
    """Subjects with one foundation, under the conditions that none of them has been measured under."""
    foundation = subjects[0].foundation
    settings = foundation.settings
    connect(settings.runtime)
    policies: Mapping[str, Policy] = {subject.label: subject.policy for subject in subjects}
    scores = measure(
        policies,
        settings.environment,
        settings.evaluation.model_copy(update={"conditions": conditions}),
        bank=load_bank(foundation.attack, "evaluation"),
        adaptive_banks={},
        epsilon=foundation.experiment.epsilon,
        seed=settings.seed,
        workers=settings.runtime.attack_workers,
    )
    for subject in subjects:
        for condition in conditions:
            rows = scores[(scores["policy"] == subject.label) & (scores["condition"] == condition)]
            stage = subject.stage(condition)
            stage.begin()
            write_scores(rows.reset_index(drop=True), stage.directory / SCORES)
            outputs: dict[str, Any] = {"policy": subject.name, "episodes": len(rows)}
            stage.finish(outputs, settings.seed)
