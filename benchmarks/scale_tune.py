"""What Tune, the curriculum's scheduler and MLflow cost per result, with 1 to 64 trials that do nothing.

Once all trials are there, every one returns a full result at once, so that results come as fast as Tune's loop takes
them. The scheduler sets q through a real bank actor, and MLflow writes to a SQLite file, or to --tracking-uri; both are
timed inside the loop.
"""

import argparse
import itertools
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import ray
from ray import tune

from afrl_ray.attacks import AttackBank, BankClient
from afrl_ray.config import AdaptiveCurriculum, ExperimentSettings, FaultSettings, TrackingSettings
from afrl_ray.curriculum.scheduler import CurriculumScheduler
from afrl_ray.pipeline.runs.trial_board import TrialBoard
from afrl_ray.tracking import ExperimentTracker
from afrl_ray.tracking.tune_callback import MLflowTrialCallback
from side_by_side import machine, print_record, record_parser
from training import start_ray


class Trivial(tune.Trainable):  # type: ignore[misc]
    """A result of the size that fine-tuning has."""

    def setup(self, _config: dict[str, Any]) -> None:
        self._steps = 0
        Path(self.config["started"], self.trial_id).touch()

    def step(self) -> dict[str, Any]:
        while self._steps == 0 and len(list(Path(self.config["started"]).iterdir())) < self.config["trials"]:
            time.sleep(0.05)
        self._steps += 1
        scores = {"normal": 90.0, "random": 80.0, "adversarial": 70.0, "mean": 80.0}
        return {
            "env_steps": self._steps,
            "score": scores,
            "score_mean": 80.0,
            "best_score": 80.0,
            "best_env_steps": self._steps,
            "q": 0.5,
            "smoothed_score": 0.5,
            "curriculum": {"q": 0.5, "average": 0.5, "evaluations": self._steps},
            "curriculum_score": 0.8,
            "total_evaluations": self.config["results"],
            "steps_per_second": 170.0,
            "lost_env_runners": 0,
            "learner": {"critic_loss": 1.0, "actor_loss": 1.0, "q_value_mean": 100.0},
            "episode_return_mean": 3000.0,
            "done": self._steps >= self.config["results"],
        }


class Clock:
    """Seconds spent inside some calls."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def around(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any, **options: Any) -> Any:
            begin = time.perf_counter()
            try:
                return call(*arguments, **options)
            finally:
                self.seconds.append(time.perf_counter() - begin)

        return timed

    @property
    def milliseconds(self) -> float:
        """Of a call, the median: the first one makes the actor, or the run in MLflow."""
        return 1e3 * statistics.median(self.seconds)


SCHEDULER, MLFLOW, BOARD = Clock(), Clock(), Clock()


class TimedScheduler(CurriculumScheduler):
    on_trial_result = SCHEDULER.around(CurriculumScheduler.on_trial_result)


class TimedTracking(MLflowTrialCallback):
    on_trial_result = MLFLOW.around(MLflowTrialCallback.on_trial_result)


class TimedBoard(TrialBoard):
    on_trial_result = BOARD.around(TrialBoard.on_trial_result)


def measure(trials: int, client: BankClient, arguments: argparse.Namespace) -> dict[str, Any]:
    results = max(arguments.results // trials, 5)
    for clock in (SCHEDULER, MLFLOW, BOARD):
        clock.seconds.clear()
    stamps: list[float] = []

    class Stamp(tune.Callback):  # type: ignore[misc]
        def on_trial_result(self, *_: Any, **__: Any) -> None:
            stamps.append(time.perf_counter())

    with tempfile.TemporaryDirectory() as folder:
        started = Path(folder) / "started"
        started.mkdir()
        settings = TrackingSettings(uri=arguments.tracking_uri)
        tracker = ExperimentTracker(settings, Path(folder) / "sweep", "sweep")
        base = ExperimentSettings(curriculum=AdaptiveCurriculum()).model_dump(mode="json")
        runs = [{"key": f"trial-{index}", "base": base, "checkpoint": "", "varied": {}} for index in range(trials)]
        tune.Tuner(
            tune.with_resources(Trivial, {"CPU": 0.01}),
            param_space={
                "results": results,
                "trials": trials,
                "started": str(started),
                "run": tune.grid_search(runs),
                "drawn": {},
            },
            tune_config=tune.TuneConfig(
                metric="score_mean",
                mode="max",
                max_concurrent_trials=trials,
                scheduler=TimedScheduler(client),
            ),
            run_config=tune.RunConfig(
                storage_path=folder,
                name="tune",
                verbose=0,
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                callbacks=[
                    TimedTracking(tracker, lambda _: "trial", lambda config: config["run"]["key"]),
                    TimedBoard(lambda _: "trial", trials),
                    Stamp(),
                ],
            ),
        ).fit()
    # those that came while all trials were there
    steady = stamps[len(stamps) // 4 : -max(len(stamps) // 4, 1)]
    per_result = statistics.median(later - earlier for earlier, later in itertools.pairwise(steady))
    parts = {"scheduler_ms": SCHEDULER.milliseconds, "mlflow_ms": MLFLOW.milliseconds, "board_ms": BOARD.milliseconds}
    return {
        "trials": trials,
        "results": len(stamps),
        "results_per_second": 1 / per_result,
        "loop_ms": 1e3 * per_result,
        **parts,
        "tune_ms": 1e3 * per_result - sum(parts.values()),
    }


def main(arguments: argparse.Namespace) -> None:
    os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
    os.environ.setdefault("TUNE_GLOBAL_CHECKPOINT_S", "1")
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
    start_ray(num_cpus=2)
    bank = AttackBank(
        np.full((1, 3), 0.3, dtype=np.float32),
        np.ones(1),
        np.ones(1, dtype=int),
        np.ones(1, dtype=int),
        FaultSettings(magnitude=0.3),
        "Hopper-v4",
        "none",
    )
    client = BankClient("afrl-scale-tune", bank)
    rows = []
    try:
        for trials in arguments.trials:
            rows.append(measure(trials, client, arguments))
            print({name: round(value, 3) for name, value in rows[-1].items()}, file=sys.stderr)
    finally:
        client.kill()
    ray.shutdown()
    where = "SQLite" if arguments.tracking_uri is None else "server"
    print_record({"name": "scale_tune", "tracking": where, "rows": rows, "machine": machine()}, arguments)


if __name__ == "__main__":
    parser = record_parser(__doc__)
    parser.add_argument("--trials", type=int, nargs="+", default=[1, 4, 16, 64])
    parser.add_argument("--results", type=int, default=1280, help="of all trials together (default 1280)")
    parser.add_argument("--tracking-uri", help="MLflow server or database; a SQLite file of its own when not given")
    main(parser.parse_args())
