"""Stage: the fine-tuning trials of an experiment."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from afrl_ray.pipeline.artifacts import Stage
from afrl_ray.pipeline.experiment import Experiment
from afrl_ray.pipeline.progress import say
from afrl_ray.pipeline.runs.run import TrainingRun, best_row
from afrl_ray.pipeline.runs.steering import SearchSteering
from afrl_ray.pipeline.runs.train import train


@dataclass(frozen=True)
class TrialOutcome:
    """What one trial left, finished or stopped by its search."""

    run: TrainingRun
    best_score: float
    best_env_steps: int

    @property
    def name(self) -> str:
        """Short and unique: what the tables and figures call it."""
        return self.run.name

    @property
    def policy(self) -> Path:
        """The best policy by validation score."""
        return self.run.best_policy

    def curve(self) -> list[dict[str, Any]]:
        """One row for each evaluation."""
        return self.run.curve()

    @classmethod
    def of(cls, run: TrainingRun) -> "TrialOutcome":
        best = best_row(run.curve())
        return cls(run, best["mean"], best["env_steps"])


def finetune_stage(experiment: Experiment, pretrain: Stage, attack: Stage) -> Stage:
    return experiment.stage("finetune", "finetune", {"pretrain": pretrain.key, "attack": attack.key})


def finetune(experiment: Experiment, pretrain: Stage, attack: Stage) -> Stage:
    """Train all runs of the search, or what an interruption left of them.

    Raises:
        TrialsFailedError: the others are kept, and the same call goes on from there.
        KeyboardInterrupt: passed on; every run goes on from its last checkpoint.
        ValueError: an earlier version made the folder.
    """
    stage, settings = finetune_stage(experiment, pretrain, attack), experiment.settings
    refuse_earlier_version(stage)
    if stage.finished():
        say(f"finetune: kept, {stage.location}")
        return stage
    stage.begin()
    steering = SearchSteering(experiment, stage)
    train(steering, experiment.tracker, stage.location)
    outcomes = [TrialOutcome.of(run) for run in steering.runs]
    best = max(outcomes, key=lambda outcome: outcome.best_score)
    stage.finish({"trials": [_as_json(outcome) for outcome in outcomes], "best": best.name}, settings.seed)
    say(
        f"finetune: best trial {best.name}, validation mean {best.best_score:.1f} "
        f"at {best.best_env_steps:,} steps; checkpoint {best.run.stage.shown(best.run.checkpoint)}"
    )
    return stage


def refuse_earlier_version(stage: Stage) -> None:
    """
    Raises:
        ValueError: the stage was begun or finished with this very work by a version that kept trials in it.
    """
    finished, begun = stage.finished(), (stage.directory / "begun_with.json").exists()
    if begun or (finished and any("trial_id" in trial for trial in finished["outputs"]["trials"])):
        raise ValueError(
            f"{stage.location} is of an earlier version of afrl_ray, whose trials cannot be gone on with: "
            "move it elsewhere to train them anew, or write another output"
        )


def trial_outcomes(experiment: Experiment, stage: Stage) -> list[TrialOutcome]:
    """The trials of a finished stage, in the order they were drawn."""
    manifest = stage.finished()
    assert manifest is not None
    base = experiment.settings.model_copy(update={"search": None})
    return [
        TrialOutcome(
            TrainingRun(trial["name"], base, trial["drawn"], apart=trial["apart"]),
            trial["best_score"],
            trial["best_env_steps"],
        )
        for trial in manifest["outputs"]["trials"]
    ]


def best_trial(stage: Stage) -> str:
    """The name of the trial with the best validation score."""
    manifest = stage.finished()
    assert manifest is not None
    return str(manifest["outputs"]["best"])


def learning_curves_table(curves: Mapping[str, list[dict[str, Any]]]) -> pd.DataFrame:
    """Rows trial, env_steps, q, smoothed_score, normal, random, adversarial, mean: one per evaluation."""
    names = ("env_steps", "q", "normal", "random", "adversarial", "mean")
    rows = [
        {"trial": trial, **{name: row[name] for name in names}, "smoothed_score": row["average"]}
        for trial, curve in curves.items()
        for row in curve
    ]
    return pd.DataFrame(rows)


def _as_json(outcome: TrialOutcome) -> dict[str, Any]:
    run = outcome.run
    return {
        "name": run.name,
        "folder": run.stage.directory.name,
        "drawn": run.drawn,
        "apart": run.apart,
        "best_score": outcome.best_score,
        "best_env_steps": outcome.best_env_steps,
    }
