"""Two trainings at once against one: what a sweep gains from a second core.

Each training is online TD3 on Hopper-v4 in a Ray actor of its own with one thread, as a Tune trial is. "ours" is the
sum of both rates while both run; "one trial" is one of them alone.
"""

import argparse
import time
from typing import Any

import ray

from side_by_side import argument_parser, measure, report
from training import BATCH_SIZE, HIDDEN_SIZES, start_ray

WARM_UP = 1000
"""Steps before anything is measured: half of them are the random phase."""


@ray.remote(num_cpus=1)
class Trial:
    def __init__(self, seed: int, mixed_precision: str, gpus: float = 0.0) -> None:
        from afrl_ray.algorithms import TD3Config
        from afrl_ray.config import EnvironmentSettings, TD3Settings

        settings = TD3Settings.model_validate(
            {"hidden_sizes": HIDDEN_SIZES, "batch_size": BATCH_SIZE, "mixed_precision": mixed_precision}
        )
        self._algorithm = (
            TD3Config()
            .simulation(EnvironmentSettings(id="Hopper-v4"))
            .training(settings=settings, random_steps=WARM_UP // 2, torch_threads=1)
            .env_runners(num_envs_per_env_runner=1, rollout_fragment_length=100)
            .learners(num_gpus_per_learner=gpus)
            # short iterations, so that both trials stop at nearly the same moment
            .reporting(min_sample_timesteps_per_iteration=100, min_time_s_per_iteration=0)
            .debugging(seed=seed, log_level="ERROR")
            .build_algo()
        )
        while self._algorithm.env_steps < WARM_UP:
            self._algorithm.train()

    def ready(self) -> bool:
        return True

    def rate(self, seconds: float) -> float:
        """Environment steps per second over about `seconds`."""
        before, started = self._algorithm.env_steps, time.perf_counter()
        while time.perf_counter() - started < seconds:
            self._algorithm.train()
        return (self._algorithm.env_steps - before) / (time.perf_counter() - started)


def total_rate(running: list[Any], seconds: float) -> float:
    """Environment steps per second of all these trials together."""
    return sum(ray.get([trial.rate.remote(seconds) for trial in running]))


def main(arguments: argparse.Namespace) -> None:
    start_ray(num_cpus=2)
    trials: list[Any] = [Trial.remote(seed, arguments.precision) for seed in range(2)]
    ray.get([trial.ready.remote() for trial in trials])

    seconds = arguments.seconds
    rates = measure(
        {"ours": lambda: total_rate(trials, seconds), "one trial": lambda: total_rate(trials[:1], seconds)},
        arguments.repeats,
    )
    report("two_trials", rates, arguments, unit="environment steps/s", threads={"ours": 2, "one trial": 1})


if __name__ == "__main__":
    parser = argument_parser(__doc__, repeats=5)
    parser.add_argument("--seconds", type=float, default=20, help="length of one measurement (default 20)")
    parser.add_argument(
        "--precision", choices=("auto", "on", "off"), default="auto", help="mixed precision (default auto)"
    )
    main(parser.parse_args())
