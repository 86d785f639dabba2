"""Runs as one Tune experiment, as many at once as there is room for."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from ray import tune

from afrl_ray.attacks import BankClient
from afrl_ray.curriculum.scheduler import CurriculumScheduler
from afrl_ray.errors import TrialsFailedError
from afrl_ray.pipeline.cluster import connect
from afrl_ray.pipeline.progress import progress
from afrl_ray.pipeline.runs.reporting import RunsInMLflow, finish_reporting
from afrl_ray.pipeline.runs.run import TrainingRun
from afrl_ray.pipeline.runs.steering import Steering
from afrl_ray.pipeline.runs.trial import RunTrial
from afrl_ray.pipeline.runs.trial_board import RunProgress, TrialBoard
from afrl_ray.scheduling import trial_bundles
from afrl_ray.storage import clear_flag, remove_folder
from afrl_ray.tracking import ExperimentTracker

_SCRATCH = ".tune"
"""A name that nobody else's files have: Tune's folder is emptied, and nothing in it is ever read again."""


def train(steering: Steering, tracker: ExperimentTracker, location: str) -> None:
    """Train every run as far as it is wanted, from wherever it is; Tune has a folder of its own below `location`, a
    folder or URI, meanwhile.

    Raises:
        TrialsFailedError: the others are kept, and the same call goes on from there.
        KeyboardInterrupt: passed on; every run goes on from its last checkpoint.
    """
    for run in steering.runs:
        finish_reporting(run, tracker)
    waiting, scratch = steering.waiting(), f"{location}/{_SCRATCH}"
    trials = len(waiting) + steering.undrawn()
    if not trials:
        return
    connect(steering.settings.runtime)
    for run in waiting:
        run.begin()
    clients = {key: foundation.bank_client() for key, foundation in steering.foundations.items()}
    remove_folder(scratch)
    reached = {run.stage.directory.name: run.reached() for run in waiting}
    total = sum(run.steps for run in waiting) + (trials - len(waiting)) * steering.settings.finetune.steps
    try:
        with progress("finetune" if trials == 1 else f"finetune, {trials} runs", total, "steps") as report:
            RunProgress.attach(report, reached)
            results = _tuner(steering, waiting, trials, clients, tracker, location).fit()
    finally:
        for client in clients.values():
            client.kill()
    if results.num_errors:
        raise TrialsFailedError(results.errors, trials)
    if steering.waiting() or steering.undrawn():
        raise KeyboardInterrupt  # which Tune had swallowed
    for run in steering.runs:
        clear_flag(run.followed)
    remove_folder(scratch)


def _tuner(
    steering: Steering,
    waiting: Sequence[TrainingRun],
    trials: int,
    clients: Mapping[str, BankClient],
    tracker: ExperimentTracker,
    location: str,
) -> tune.Tuner:
    runtime, searcher = steering.settings.runtime, steering.searcher(waiting)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return tune.Tuner(
            tune.with_resources(RunTrial, tune.PlacementGroupFactory(trial_bundles(runtime))),
            param_space=steering.space(waiting),
            tune_config=tune.TuneConfig(
                metric="score_mean",
                mode="max",
                scheduler=CurriculumScheduler(
                    lambda trial: clients[trial.config["run"]["foundation"]], steering.scheduler()
                ),
                search_alg=searcher,
                num_samples=trials if searcher else 1,
                max_concurrent_trials=runtime.trials_at_once,
                trial_dirname_creator=lambda trial: f"trial_{trial.trial_id}",
                reuse_actors=True,
            ),
            run_config=tune.RunConfig(
                name=_SCRATCH,
                storage_path=location,
                verbose=0,
                callbacks=[RunsInMLflow(tracker, _name, _key), RunProgress(), TrialBoard(_name, trials)],
                failure_config=tune.FailureConfig(max_failures=3),
                checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
            ),
        )


def _name(config: Mapping[str, Any]) -> str:
    return str(config["run"]["name"])


def _key(config: Mapping[str, Any]) -> str:
    return str(config["run"]["key"])
