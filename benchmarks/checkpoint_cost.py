"""What checkpoints cost of the training, at the default interval of fine-tuning and with a replay of a million rows.

For each robot: seconds of one checkpoint as a trial writes it (everything into a temporary folder, then copied to
storage, as Tune does it), with the replay's rows written once each ("log") and with all rows in every checkpoint
("whole"); and seconds of training between two checkpoints, from the steps per second of `Algorithm.train()`. The
share is the first over the sum. The first checkpoint of a log writes all rows there are and is given apart. Files are
flushed to the disk before the clock stops.
"""

import argparse
import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from afrl_ray.algorithms import OffPolicyAlgorithm
from afrl_ray.config import EnvironmentSettings, ExperimentSettings
from afrl_ray.networks import limit_threads
from afrl_ray.pipeline.runs.configuration import trial_algorithm_config
from afrl_ray.pipeline.training import Training
from side_by_side import machine, print_record, record_parser
from training import start_ray

ROWS = 1_000_000
INTERVAL = ExperimentSettings().finetune.checkpoint_interval
LIMIT = 0.03


def main() -> None:
    arguments = _arguments()
    limit_threads()
    start_ray(num_cpus=1)
    folder = Path(tempfile.mkdtemp(prefix="checkpoint_cost", dir=arguments.folder))
    try:
        results = {robot: cost(robot, folder / robot, arguments) for robot in arguments.robots}
    finally:
        shutil.rmtree(folder)
    for robot, result in results.items():
        print(f"{robot}: " + ", ".join(f"{name} {value:.4g}" for name, value in result.items()), file=sys.stderr)
    within = all(result["share"] < LIMIT for result in results.values())
    print(f"every {INTERVAL} steps: {'under' if within else 'NOT under'} {LIMIT:.0%} of the time", file=sys.stderr)
    settings = {"rows": ROWS, "interval": INTERVAL, "repeats": arguments.repeats, "seconds": arguments.seconds}
    print_record({"name": "checkpoint_cost", **settings, "machine": machine(), "results": results}, arguments)


def cost(robot: str, folder: Path, arguments: argparse.Namespace) -> dict[str, float]:
    """Seconds of checkpoints, steps per second, and the share of the time that checkpoints take."""
    folder.mkdir()
    log = algorithm(robot, str(folder / "replay"))
    first = checkpoint(log, folder)
    steps_per_second = speed(log, arguments.seconds)
    repeated = statistics.median(_after_an_interval(log, folder) for _ in range(arguments.repeats))
    log.stop()
    plain = algorithm(robot, None)
    plain.train()
    whole = statistics.median(_after_an_interval(plain, folder) for _ in range(min(arguments.repeats, 2)))
    plain.stop()
    training = INTERVAL / steps_per_second
    return {
        "steps_per_second": steps_per_second,
        "log_seconds": repeated,
        "first_log_seconds": first,
        "whole_seconds": whole,
        "share": repeated / (repeated + training),
        "share_whole": whole / (whole + training),
    }


def algorithm(robot: str, replay_log: str | None) -> OffPolicyAlgorithm:
    """What a trial trains, with a replay of random rows."""
    settings = ExperimentSettings(environment=EnvironmentSettings(id=robot))
    built: OffPolicyAlgorithm = trial_algorithm_config(settings, None).training(replay_log=replay_log).build_algo()
    add_rows(built, ROWS)
    return built


def add_rows(built: OffPolicyAlgorithm, count: int) -> None:
    generator = np.random.default_rng(0)
    for start in range(0, count, 100_000):
        size = min(100_000, count - start)
        built._on_learner(
            lambda learner, size=size: learner.add_rows(
                generator.standard_normal((size, learner.layout.width), dtype=np.float32)
            )
        )


def speed(built: OffPolicyAlgorithm, seconds: float) -> float:
    """Environment steps per second, updates included."""
    built.train()
    before, start = built.env_steps, time.perf_counter()
    while time.perf_counter() - start < seconds:
        built.train()
    return (built.env_steps - before) / (time.perf_counter() - start)


def _after_an_interval(built: OffPolicyAlgorithm, folder: Path) -> float:
    add_rows(built, INTERVAL)
    return checkpoint(built, folder)


def checkpoint(built: OffPolicyAlgorithm, folder: Path) -> float:
    """Seconds of one checkpoint, and of what it sets going: new environments."""
    from pyarrow.fs import LocalFileSystem, copy_files

    os.sync()
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        Training(built).save(Path(temporary))
        storage = folder / f"checkpoint_{time.time_ns()}"
        storage.mkdir()
        copy_files(temporary, str(storage), LocalFileSystem(), LocalFileSystem())
    os.sync()
    seconds = time.perf_counter() - start
    shutil.rmtree(storage)
    return seconds


def _arguments() -> Any:
    parser = record_parser(__doc__)
    parser.add_argument("--robots", nargs="+", default=["hopper", "halfcheetah"], help="(hopper halfcheetah)")
    parser.add_argument("--repeats", type=int, default=5, help="checkpoints that are measured (5)")
    parser.add_argument("--seconds", type=float, default=15.0, help="training that is measured (15)")
    parser.add_argument("--folder", type=Path, help="where to write; the system's temporary folder if not given")
    return parser.parse_args()


if __name__ == "__main__":
    main()
