"""What telemetry costs a training: the time of each call, and its share of the steps between two of them.

A trial reads its counts once per `train()` (--steps environment steps, each with an update, at --rate a second) and
times each read of the bank; the driver sets gauges and writes the report once per result.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

from ray.rllib.utils.metrics import ALL_MODULES, ENV_RUNNER_RESULTS, LEARNER_RESULTS
from ray.rllib.utils.metrics.metrics_logger import MetricsLogger

from afrl_ray.algorithms.env_runner import NUM_FAULT_DRAWS_LIFETIME
from afrl_ray.algorithms.learner import NUM_UPDATES_LIFETIME
from afrl_ray.pipeline.counters import TrainingCounters
from afrl_ray.telemetry.board import Board
from afrl_ray.telemetry.metrics import BANK_READ_SECONDS, SCORE, Q
from side_by_side import machine, print_record, record_parser
from training import start_ray

TRIALS = 100
READS_PER_TRAIN = 10


def seconds(call: Callable[[], object], times: int) -> float:
    call()
    begin = time.process_time()
    for _ in range(times):
        call()
    return (time.process_time() - begin) / times


def read_counts() -> Callable[[], None]:
    """A meter on counts that grow, as those of an algorithm do."""
    logger = MetricsLogger(root=True)
    paths = [(ENV_RUNNER_RESULTS, name) for name in ("num_env_steps_sampled_lifetime", "num_episodes_lifetime")]
    paths += [(ENV_RUNNER_RESULTS, NUM_FAULT_DRAWS_LIFETIME), (LEARNER_RESULTS, ALL_MODULES, NUM_UPDATES_LIFETIME)]
    meter = TrainingCounters(SimpleNamespace(metrics=logger, lost_env_runners=0), "adversarial")  # type: ignore[arg-type]

    def call() -> None:
        for path in paths:
            logger.log_value(path, 100, reduce="lifetime_sum")
        meter.read()

    return call


def write_report(file: Path) -> Callable[[], None]:
    own = Board()
    for index in range(TRIALS):
        own.trial(f"abc_{index:05}", name=f"adaptive beta=0.1 seed={index}", q=0.5, score={"mean": 80.0})
    return lambda: file.write_text(own.report().model_dump_json()) and None


def set_gauges() -> None:
    Q.set(0.5, trial="abc_00000", trial_name="adaptive")
    for condition in ("normal", "random", "adversarial", "mean"):
        SCORE.set(80.0, condition=condition, trial="abc_00000", trial_name="adaptive")


def main(arguments: argparse.Namespace) -> None:
    start_ray(num_cpus=1)
    with tempfile.TemporaryDirectory() as folder:
        costs = {
            "counts, per train()": seconds(read_counts(), 2000),
            "time of a read, per read of the bank": seconds(lambda: BANK_READ_SECONDS.observe(0.001), 5000),
            "gauges, per result": seconds(set_gauges, 2000),
            f"report of {TRIALS} trials, once a second at most": seconds(
                write_report(Path(folder) / "report.json"), 200
            ),
        }
    own = costs["counts, per train()"] + READS_PER_TRAIN * costs["time of a read, per read of the bank"]
    share = own * arguments.rate / arguments.steps
    result = {
        "name": "telemetry_cost",
        "microseconds": {name: 1e6 * value for name, value in costs.items()},
        "share_of_training": share,
        "machine": machine(),
    }
    print_record(result, arguments)


if __name__ == "__main__":
    parser = record_parser(__doc__)
    parser.add_argument("--steps", type=int, default=1000, help="environment steps of one train() (default 1000)")
    parser.add_argument("--rate", type=float, default=400.0, help="environment steps per second (default 400)")
    main(parser.parse_args())
