"""What MLflow is told of training runs, also where nobody was there to tell it.

A run writes its checkpoint before the driver hears of the evaluation in it. Where one of the two dies in between, the
run goes on after a row that MLflow never got, or is at its end already. The rows are on disk: so they come from there.
"""

from typing import Any

from ray.tune.experiment import Trial

from afrl_ray.pipeline.runs.run import TrainingRun
from afrl_ray.storage import clear_flag, has_flag
from afrl_ray.tracking import ExperimentTracker, TrackedRun
from afrl_ray.tracking.names import result_metrics
from afrl_ray.tracking.tune_callback import MLflowTrialCallback


class RunsInMLflow(MLflowTrialCallback):
    """Whenever a trial begins or goes on, MLflow first gets the rows of its run that it lacks."""

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        super().on_trial_start(iteration, trials, trial, **info)
        with self._surviving():
            log_curve(TrainingRun.from_config(trial.config), self._run(trial))


def finish_reporting(run: TrainingRun, tracker: ExperimentTracker) -> None:
    """Finish in MLflow a run that is as far as it is wanted, but whose driver was killed before it could say so."""
    if has_flag(run.followed) and run.finished():
        tracked = tracker.child_run(run.stage.directory.name, name=run.name)
        log_curve(run, tracked)
        tracked.finish()
        clear_flag(run.followed)


def log_curve(run: TrainingRun, tracked: TrackedRun) -> None:
    """Log the evaluations that the run's checkpoint has; those that MLflow has are skipped, as any repeated step is."""
    best: dict[str, float] = {}
    for row in run.curve():
        if not best or row["mean"] > best["best_score"]:
            best = {"best_score": row["mean"], "best_env_steps": row["env_steps"]}
        result = {"score": row, "q": row["q"], "smoothed_score": row["average"], **best}
        tracked.log_metrics(result_metrics(result), row["env_steps"])
