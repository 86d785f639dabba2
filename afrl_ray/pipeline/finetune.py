"""Stage: the fine-tuning trials, as one Tune experiment."""

import shutil
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from ray import tune
from ray.tune.schedulers import ASHAScheduler, TrialScheduler

from afrl_ray.algorithms import complete_replay
from afrl_ray.attacks import BankClient
from afrl_ray.config import ExperimentSettings
from afrl_ray.curriculum.scheduler import CurriculumScheduler
from afrl_ray.datasets import Transitions
from afrl_ray.errors import TrialsFailedError
from afrl_ray.pipeline.artifacts import Stage, read_json, write_json
from afrl_ray.pipeline.attack import bank_client, load_bank
from afrl_ray.pipeline.cluster import connect
from afrl_ray.pipeline.experiment import Experiment
from afrl_ray.pipeline.pretrain import offline_critic, offline_networks
from afrl_ray.pipeline.progress import progress, say
from afrl_ray.pipeline.search import (
    file_name,
    parameter_space,
    readable_name,
    search_algorithm,
    trial_count,
    unique_name,
)
from afrl_ray.pipeline.training import BEST_POLICY, RECORD
from afrl_ray.pipeline.trial import FinetuneTrial, TrialInputs, replay_log
from afrl_ray.pipeline.trial_board import TrialBoard
from afrl_ray.pipeline.trial_progress import TrialProgress
from afrl_ray.pipeline.tune_state import can_go_on, tune_filesystem
from afrl_ray.scheduling import trial_bundles
from afrl_ray.tracking.names import flatten
from afrl_ray.tracking.tune_callback import MLflowTrialCallback

_TUNE = "tune"
_CHECKPOINTS = "checkpoints"
_BEGUN_WITH = "begun_with.json"
_KEPT_BY_TUNE = {
    "runtime": {"trials_at_once", "resources", "num_env_runners", "device"},
    "tracking": {"enabled", "uri", "experiment"},
}
"""Settings that are no part of the stage's identity and that Tune restores, with the trials, as they were."""


@dataclass(frozen=True)
class TrialOutcome:
    """What one finished trial left in the stage's directory."""

    name: str
    """Short and unique: what the tables and figures call it."""
    trial_id: str
    varied: Mapping[str, Any]
    best_score: float
    best_env_steps: int
    policy: Path
    """The best policy by validation score."""
    checkpoint: Path
    """The last checkpoint, complete with replay: fine-tuning can go on from it."""
    curve: list[dict[str, Any]]


def finetune_stage(experiment: Experiment, pretrain: Stage, attack: Stage) -> Stage:
    sections = {"finetune", "perturbation", "curriculum", "search"}
    return experiment.stage("finetune", sections, {"pretrain": pretrain.key, "attack": attack.key})


def finetune(experiment: Experiment, pretrain: Stage, attack: Stage, transitions: Transitions) -> Stage:
    """Run all trials, or those that an interruption left unfinished.

    Raises:
        TrialsFailedError: the others are kept, and the same call goes on from there.
        KeyboardInterrupt: passed on after every running trial's last checkpoint is safe.
        StorageError: there are checkpoints, but what Tune knows of them is damaged.
    """
    stage, settings = finetune_stage(experiment, pretrain, attack), experiment.settings
    if stage.finished():
        say(f"finetune: kept, {stage.location}")
        return stage
    stage.begin()
    connect(settings.runtime)
    client = bank_client(stage, attack)
    inputs = TrialInputs(
        transitions,
        offline_networks(pretrain),
        load_bank(attack, "validation"),
        client,
        offline_critic(pretrain),
        _replay_logs(stage),
    )
    trainable = tune.with_parameters(FinetuneTrial, inputs=inputs)
    trainable = tune.with_resources(trainable, _trial_resources(settings))
    total = settings.finetune.steps * trial_count(settings)
    try:
        with progress("finetune", total, "steps") as report:
            tuner = _tuner(experiment, stage, client, trainable)
            TrialProgress.attach(report)
            results = tuner.fit()
    finally:
        client.kill()
    _raise_unless_complete(results, settings)
    outcomes = _collect(results, stage)
    best = max(outcomes, key=lambda outcome: outcome.best_score)
    stage.finish({"trials": [_as_json(outcome) for outcome in outcomes], "best": best.name}, settings.seed)
    say(
        f"finetune: best trial {best.name}, validation mean {best.best_score:.1f} "
        f"at {best.best_env_steps:,} steps; checkpoint {stage.shown(best.checkpoint)}"
    )
    return stage


def trial_outcomes(stage: Stage) -> list[TrialOutcome]:
    """The trials of a finished stage, in the order they were made."""
    manifest = stage.finished()
    assert manifest is not None
    outcomes = []
    for entry in manifest["outputs"]["trials"]:
        directory = _trial_directory(stage, entry["name"])
        curve = read_json(directory / RECORD)["curve"]
        outcomes.append(TrialOutcome(**entry, policy=directory / BEST_POLICY, checkpoint=directory, curve=curve))
    return outcomes


def best_trial(stage: Stage) -> str:
    """The name of the trial with the best validation score."""
    manifest = stage.finished()
    assert manifest is not None
    return str(manifest["outputs"]["best"])


def learning_curves_table(outcomes: list[TrialOutcome]) -> pd.DataFrame:
    """Rows trial, env_steps, q, smoothed_score, normal, random, adversarial, mean: one per evaluation."""
    rows = [
        {
            "trial": outcome.name,
            **{name: row[name] for name in ("env_steps", "q", "normal", "random", "adversarial", "mean")},
            "smoothed_score": row["average"],
        }
        for outcome in outcomes
        for row in outcome.curve
    ]
    return pd.DataFrame(rows)


def _tuner(experiment: Experiment, stage: Stage, client: BankClient, trainable: Any) -> tune.Tuner:
    path = f"{stage.location}/{_TUNE}"
    filesystem = tune_filesystem(path)
    if can_go_on(path):
        say_what_stays(stage, experiment.settings)
        return tune.Tuner.restore(
            path, trainable, resume_unfinished=True, resume_errored=True, storage_filesystem=filesystem
        )
    settings = experiment.settings
    finetune = settings.finetune
    write_json(stage.directory / _BEGUN_WITH, settings.model_dump(mode="json", include=_KEPT_BY_TUNE))
    stage.keep()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return tune.Tuner(
            trainable,
            param_space=parameter_space(settings),
            tune_config=tune.TuneConfig(
                metric="score_mean",
                mode="max",
                scheduler=CurriculumScheduler(client, _base_scheduler(settings)),
                search_alg=search_algorithm(settings),
                num_samples=settings.search.samples if settings.search else 1,
                trial_dirname_creator=lambda trial: f"trial_{trial.trial_id}",
            ),
            run_config=tune.RunConfig(
                name=_TUNE,
                storage_path=stage.location,
                storage_filesystem=filesystem,
                verbose=0,
                callbacks=[
                    MLflowTrialCallback(experiment.tracker, readable_name),
                    TrialProgress(),
                    TrialBoard(readable_name, trial_count(settings)),
                ],
                failure_config=tune.FailureConfig(max_failures=3),
                # A kill may come between a checkpoint's deletion and the snapshot that knows of it: so snapshots reach
                # storage within seconds (the other half is in cluster.py), and a few checkpoints stay.
                sync_config=tune.SyncConfig(sync_period=1),
                checkpoint_config=tune.CheckpointConfig(
                    num_to_keep=3,
                    checkpoint_frequency=finetune.checkpoint_interval // finetune.evaluation_interval,
                    checkpoint_at_end=True,
                ),
            ),
        )


def say_what_stays(stage: Stage, settings: ExperimentSettings) -> None:
    """Name the settings that have been changed since the trials began, and that do not reach them."""
    begun = flatten(read_json(stage.directory / _BEGUN_WITH) or {})
    now = flatten(settings.model_dump(mode="json", include=_KEPT_BY_TUNE))
    changed = [f"{name}={value}" for name, value in begun.items() if now.get(name, value) != value]
    if changed:
        say(f"finetune: goes on with {', '.join(changed)}, as it began; another output begins anew")


def _base_scheduler(settings: ExperimentSettings) -> TrialScheduler | None:
    search, finetune = settings.search, settings.finetune
    if search is None or search.scheduler == "fifo":
        return None
    grace = min(search.grace_evaluations * finetune.evaluation_interval, finetune.steps)
    return ASHAScheduler(time_attr="env_steps", max_t=finetune.steps, grace_period=grace)


def _trial_resources(settings: ExperimentSettings) -> tune.PlacementGroupFactory:
    return tune.PlacementGroupFactory(trial_bundles(settings.runtime))


def _raise_unless_complete(results: tune.ResultGrid, settings: ExperimentSettings) -> None:
    if results.num_errors:
        raise TrialsFailedError(results.errors, len(results))
    if len(results) < trial_count(settings) or not all((result.metrics or {}).get("done") for result in results):
        raise KeyboardInterrupt  # which Tune had swallowed


def _collect(results: tune.ResultGrid, stage: Stage) -> list[TrialOutcome]:
    """Copy every trial's last checkpoint out of Tune's folder, under a name that people can read."""
    outcomes: list[TrialOutcome] = []
    for result in sorted(results, key=lambda result: str((result.metrics or {}).get("trial_id"))):  # as they were made
        assert result.checkpoint is not None
        assert result.metrics is not None
        varied = result.config["varied"]
        name = unique_name(readable_name(result.config), [outcome.name for outcome in outcomes])
        target = _trial_directory(stage, name)
        with result.checkpoint.as_directory() as source:
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(source, target)
        complete_replay(target, replay_log(_replay_logs(stage), result.metrics["trial_id"]))
        outcomes.append(
            TrialOutcome(
                name=name,
                trial_id=result.metrics["trial_id"],
                varied=varied,
                best_score=result.metrics["best_score"],
                best_env_steps=result.metrics["best_env_steps"],
                policy=target / BEST_POLICY,
                checkpoint=target,
                curve=read_json(target / RECORD)["curve"],
            )
        )
    return outcomes


def _replay_logs(stage: Stage) -> str:
    """Where trials write the rows of their replays, each trial below its id."""
    return f"{stage.location}/replay"


def _trial_directory(stage: Stage, name: str) -> Path:
    return stage.directory / _CHECKPOINTS / file_name(name)


def _as_json(outcome: TrialOutcome) -> dict[str, Any]:
    names = ("name", "trial_id", "varied", "best_score", "best_env_steps")
    return {name: getattr(outcome, name) for name in names}
