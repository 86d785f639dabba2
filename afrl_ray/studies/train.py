"""All training runs of some studies as one Tune experiment, as many at once as there is room for."""
# ruff: noqa: ARG002 - Tune calls every hook with all of its keywords

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from ray import tune
from ray.tune import Callback
from ray.tune.experiment import Trial

from afrl_ray.curriculum.scheduler import CurriculumScheduler
from afrl_ray.errors import TrialsFailedError
from afrl_ray.pipeline.cluster import connect
from afrl_ray.pipeline.progress import Reporter, progress
from afrl_ray.pipeline.trial_board import TrialBoard
from afrl_ray.scheduling import trial_bundles
from afrl_ray.storage import clear_flag, remove_folder, set_flag
from afrl_ray.studies.reporting import RunsInMLflow, finish_reporting
from afrl_ray.studies.run_trial import RunTrial
from afrl_ray.studies.training_run import TrainingRun
from afrl_ray.tracking import ExperimentTracker


@dataclass(frozen=True)
class NamedRun:
    """A run that has to be trained, and what people call it."""

    run: TrainingRun
    name: str
    varied: Mapping[str, Any]


def train(wanted: Sequence[NamedRun], tracker: ExperimentTracker, scratch: str) -> None:
    """Train every run as far as it is wanted, from wherever it is; `scratch` is Tune's own folder or URI, emptied after
    it.

    A run that several studies want counts once, as far as the longest of them wants it.

    Raises:
        TrialsFailedError: the others are kept, and the same call goes on from there.
        KeyboardInterrupt: passed on; every run goes on from its last checkpoint.
    """
    longest = _longest(wanted)
    for named in longest:
        finish_reporting(named.run, named.name, tracker)
    pending = [named for named in longest if not named.run.finished()]
    if not pending:
        return
    connect(pending[0].run.settings.runtime)
    for named in pending:
        named.run.stage.begin()
        set_flag(named.run.followed)
    clients = {named.run.foundation.key: named.run.foundation.bank_client() for named in pending}
    remove_folder(scratch)
    try:
        with progress(f"finetune, {len(pending)} runs", sum(named.run.steps for named in pending), "steps") as report:
            RunProgress.attach(report, {named.run.stage.directory.name: named.run.reached() for named in pending})
            results = _tuner(pending, clients, tracker, scratch).fit()
    finally:
        for client in clients.values():
            client.kill()
    if results.num_errors:
        raise TrialsFailedError(results.errors, len(pending))
    if not all(named.run.finished() for named in pending):
        raise KeyboardInterrupt  # which Tune had swallowed
    for named in pending:
        clear_flag(named.run.followed)
    remove_folder(scratch)


def _longest(wanted: Sequence[NamedRun]) -> list[NamedRun]:
    """One of each run, the longest, in the order of their first mention."""
    chosen: dict[str, NamedRun] = {}
    for named in wanted:
        known = chosen.get(named.run.stage.key)
        if known is None or known.run.steps < named.run.steps:
            chosen[named.run.stage.key] = named
    return list(chosen.values())


def _tuner(
    pending: Sequence[NamedRun], clients: Mapping[str, Any], tracker: ExperimentTracker, scratch: str
) -> tune.Tuner:
    settings = pending[0].run.settings
    storage, _, name = scratch.rpartition("/")
    configs = [named.run.as_config(named.name, named.varied) for named in pending]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return tune.Tuner(
            tune.with_resources(RunTrial, tune.PlacementGroupFactory(trial_bundles(settings.runtime))),
            param_space={
                "run": tune.grid_search(configs),
                "experiment": tune.sample_from(lambda spec: spec.config["run"]["settings"]),
                "varied": tune.sample_from(lambda spec: spec.config["run"]["varied"]),
            },
            tune_config=tune.TuneConfig(
                metric="score_mean",
                mode="max",
                scheduler=CurriculumScheduler(lambda trial: clients[trial.config["run"]["foundation"]]),
                max_concurrent_trials=settings.runtime.trials_at_once,
                trial_dirname_creator=lambda trial: f"trial_{trial.trial_id}",
                reuse_actors=True,
            ),
            run_config=tune.RunConfig(
                name=name,
                storage_path=storage,
                verbose=0,
                callbacks=[RunsInMLflow(tracker, _name, _key), RunProgress(), TrialBoard(_name, len(pending))],
                failure_config=tune.FailureConfig(max_failures=3),
                checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
            ),
        )


def _name(config: Mapping[str, Any]) -> str:
    return str(config["run"]["name"])


def _key(config: Mapping[str, Any]) -> str:
    return str(config["run"]["key"])


class RunProgress(Callback):
    """Shows the environment steps of all runs together, those of earlier commands included, and the latest score.

    Tune pickles its callbacks into the experiment, so what it reports to is attached to the class, not to the object.
    """

    _report: ClassVar[Reporter | None] = None
    _steps: ClassVar[dict[str, int]] = {}

    @classmethod
    def attach(cls, report: Reporter, reached: Mapping[str, int]) -> None:
        cls._report, cls._steps = report, dict(reached)
        report.update(sum(cls._steps.values()))

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        if self._report is None:
            return
        self._steps[_key(trial.config)] = int(result["env_steps"])
        note = f"score {result['score_mean']:.1f}, best {result['best_score']:.1f}, q {result['q']:.2f}"
        self._report.update(sum(self._steps.values()), f"{_name(trial.config)}: {note}")
