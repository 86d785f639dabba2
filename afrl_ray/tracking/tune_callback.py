"""One MLflow run per Tune trial, below the sweep's run."""
# ruff: noqa: ARG002 - Tune calls every hook with all of its keywords

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ray.tune import Callback
from ray.tune.experiment import Trial

from afrl_ray.config import trial_experiment
from afrl_ray.tracking.connection import logger
from afrl_ray.tracking.names import result_metrics
from afrl_ray.tracking.run import RunStatus, TrackedRun
from afrl_ray.tracking.tracker import ExperimentTracker


class MLflowTrialCallback(Callback):
    """Logs each trial's settings, results and end; whatever happens here, the sweep goes on.

    It keeps no state that counts: runs are found by their keys.
    """

    def __init__(
        self,
        tracker: ExperimentTracker,
        name: Callable[[dict[str, Any]], str],
        key: Callable[[dict[str, Any]], str],
    ) -> None:
        """`name` makes a readable name of a trial's config, `key` what the run is found by."""
        self._tracker = tracker
        self._name = name
        self._key = key
        self._warned = False

    def setup(self, stop: Any = None, num_samples: Any = None, total_num_samples: Any = None, **info: Any) -> None:
        with self._surviving():  # connecting takes seconds: before the first trial, not during it
            self._tracker.flush()

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        with self._surviving():
            run = self._run(trial)
            run.begin()
            run.log_parameters(trial_experiment(trial.config))
            tags = {"afrl.trial": trial.trial_id, "afrl.checkpoint": trial.config["run"]["checkpoint"]}
            run.set_tags(tags | {f"varied.{name}": value for name, value in _varied(trial).items()})

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        with self._surviving():
            self._run(trial).log_metrics(result_metrics(result), result["env_steps"])
            self._tracker.flush()  # what trials that already ended could not send

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        self._end(trial, "FINISHED")

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        self._end(trial, "FAILED")

    def on_experiment_end(self, trials: list[Trial], **info: Any) -> None:
        for trial in trials:
            if not trial.is_finished():
                self._end(trial, "KILLED")
        with self._surviving():
            self._tracker.flush(force=True)

    def _end(self, trial: Trial, status: RunStatus) -> None:
        with self._surviving():
            self._run(trial).finish(status)

    def _run(self, trial: Trial) -> TrackedRun:
        return self._tracker.child_run(self._key(trial.config), name=self._name(trial.config))

    @contextmanager
    def _surviving(self) -> Iterator[None]:
        try:
            yield
        except Exception:
            if not self._warned:
                logger.warning("tracking failed; the sweep goes on, and this is said once", exc_info=True)
            self._warned = True


def _varied(trial: Trial) -> dict[str, Any]:
    """What the search or the study's grid chose for this trial, by dotted setting."""
    return {**trial.config["run"]["varied"], **trial.config["drawn"]}
