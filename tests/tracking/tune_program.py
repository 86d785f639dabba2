"""A sweep of two trivial trials, to be killed and restored: tune_program.py OUTPUT [restore]."""

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import ray
from ray import tune

from afrl_ray.config import TrackingSettings
from afrl_ray.tracking import ExperimentTracker
from afrl_ray.tracking.tune_callback import MLflowTrialCallback

ROUNDS = 10


def trial(config: dict[str, Any]) -> None:
    begin = 0
    checkpoint = tune.get_checkpoint()
    if checkpoint is not None:
        with checkpoint.as_directory() as folder:
            begin = json.loads((Path(folder) / "round.json").read_text())
    for index in range(begin, ROUNDS):
        time.sleep(0.5)
        beta = config["experiment"]["curriculum"]["beta"]
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "round.json").write_text(json.dumps(index + 1))
            tune.report(
                {
                    "env_steps": 1000 * (index + 1),
                    "q": beta,
                    "score": {"normal": 10.0 * index},
                    "critic_loss": float("nan"),
                },
                checkpoint=tune.Checkpoint.from_directory(folder),
            )


def resolve(spec: Any) -> dict[str, Any]:
    return {"name": "sweep", "curriculum": {"beta": spec.config["varied"]["curriculum.beta"]}}


def name(config: dict[str, Any]) -> str:
    return f"beta={config['experiment']['curriculum']['beta']}"


if __name__ == "__main__":
    output = Path(sys.argv[1])
    ray.init(num_cpus=2, include_dashboard=False, object_store_memory=80 * 1024**2, log_to_driver=False)
    if sys.argv[2:] == ["restore"]:
        tuner = tune.Tuner.restore(str(output / "tune"), trial)
    else:
        tracker = ExperimentTracker(TrackingSettings(), output, "sweep")
        tracker.parent_run({"seed": 0})
        tuner = tune.Tuner(
            trial,
            param_space={
                "varied": {"curriculum.beta": tune.grid_search([0.1, 0.5])},
                "experiment": tune.sample_from(resolve),
            },
            run_config=tune.RunConfig(
                name="tune",
                storage_path=str(output),
                callbacks=[MLflowTrialCallback(tracker, name)],
                verbose=0,
            ),
        )
    results = tuner.fit()
    assert not results.errors
