"""Reads of q from the bank's actor by 1 to 1,000 env runners at once, each taking a snapshot per sample call.

Env runners are simulated by threads, a few processes of them, that do what an env runner does between two sample calls
(nothing, for --interval seconds) and then take a snapshot through the project's own client. For each number of
runners: reads per second, the time of one read, what that adds to an episode, and the actor's own processor time.
Where a runner asks the actor for every few reads only and holds the answer, the reads that ask are given apart too.
"""

import argparse
import random
import sys
import threading
import time
from typing import Any

import numpy as np
import ray

from afrl_ray.attacks import AttackBank, BankClient, BankSource
from afrl_ray.attacks.bank_actor import NAMESPACE
from afrl_ray.config import FaultSettings
from afrl_ray.curriculum.schedules import CurriculumState
from side_by_side import machine, print_record, record_parser
from training import start_ray

STEPS_PER_READ = 100
"""Of a trial: afrl_ray.pipeline.runs.configuration.STEPS_PER_ROUND."""
EPISODE_STEPS = 1000
WARM_UP_SECONDS = 3.0
ACTOR = "afrl-scale-bank"


def hold(source: BankSource) -> None:
    """Ask the actor once, and go on with its answer, as a trial does at each result."""
    source.take_over(source.known() or source.last_state)


@ray.remote(num_cpus=0, max_concurrency=2)
class Runners:
    """Some of the env runners, a thread each."""

    def __init__(self, client: BankClient, names: list[str]) -> None:
        start = CurriculumState(q=0.5, average=0.0, evaluations=0)
        self._sources = [BankSource(client, name, "adversarial", start) for name in names]

    def run(self, seconds: float, interval: float, samples_per_ask: int) -> list[tuple[bool, float]]:
        """Of every read that ended after the warm-up: whether it asked the actor, and its seconds."""
        begin = time.perf_counter() + WARM_UP_SECONDS
        took: list[list[tuple[bool, float]]] = [[] for _ in self._sources]

        def live(index: int) -> None:
            time.sleep(random.random() * interval)
            holds = samples_per_ask > 1
            if holds:
                hold(self._sources[index])
            count = random.randrange(samples_per_ask)  # trials are at different points between two results
            while (now := time.perf_counter()) < begin + seconds:
                asks = count % samples_per_ask == 0
                if asks and holds:
                    hold(self._sources[index])
                self._sources[index].snapshot()
                count += 1
                ended = time.perf_counter()
                if ended >= begin:
                    took[index].append((asks, ended - now))
                time.sleep(interval)

        threads = [threading.Thread(target=live, args=(index,)) for index in range(len(self._sources))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return [value for values in took for value in values]


def measure(client: BankClient, runners: int, arguments: argparse.Namespace) -> dict[str, Any]:
    count = min(runners, arguments.processes)
    names = [f"runner-{index}" for index in range(runners)]
    groups = [Runners.remote(client, names[index::count]) for index in range(count)]
    ray.get([group.run.remote(0.0, 0.0, 1) for group in groups])  # connected
    before, began = processor_seconds(), time.perf_counter()
    answers = ray.get(
        [group.run.remote(arguments.seconds, arguments.interval, arguments.samples_per_ask) for group in groups]
    )
    elapsed = time.perf_counter() - began
    asked = np.array([asks for answer in answers for asks, _ in answer])
    took = np.array([seconds for answer in answers for _, seconds in answer])
    reads = len(took) / arguments.seconds
    share = (processor_seconds() - before) / elapsed
    for group in groups:
        ray.kill(group)
    reads_per_episode = EPISODE_STEPS / STEPS_PER_READ
    return {
        "runners": runners,
        "reads_per_second": reads,
        "median_ms": 1e3 * float(np.median(took)),
        "p99_ms": 1e3 * float(np.quantile(took, 0.99)),
        "asks_per_second": float(asked.sum()) / arguments.seconds,
        "median_ask_ms": 1e3 * float(np.median(took[asked])),
        "p99_ask_ms": 1e3 * float(np.quantile(took[asked], 0.99)),
        "per_episode_ms": 1e3 * float(np.mean(took)) * reads_per_episode,
        "actor_cores": share,
        "actor_us_per_read": 1e6 * share / reads,
    }


def processor_seconds() -> float:
    """Of the actor's process, until now."""
    actor = ray.get_actor(ACTOR, namespace=NAMESPACE)
    return float(ray.get(actor.__ray_call__.remote(lambda _: time.process_time())))


def main(arguments: argparse.Namespace) -> None:
    start_ray(num_cpus=2)
    deltas = np.full((10, 3), 0.3, dtype=np.float32)
    numbers = np.arange(10)
    bank = AttackBank(
        deltas, numbers.astype(float), numbers + 1, numbers, FaultSettings(magnitude=0.3), "Hopper-v4", "none"
    )
    client = BankClient(ACTOR, bank)
    client.set_state("runner-0", CurriculumState(q=0.5, average=0.0, evaluations=0))
    rows = []
    try:
        for runners in arguments.runners:
            rows.append(measure(client, runners, arguments))
            print({name: round(value, 3) for name, value in rows[-1].items()}, file=sys.stderr)
    finally:
        client.kill()
    result = {
        "name": "scale_bank",
        "interval": arguments.interval,
        "samples_per_ask": arguments.samples_per_ask,
        "rows": rows,
        "machine": machine(),
    }
    print_record(result, arguments)


if __name__ == "__main__":
    parser = record_parser(__doc__)
    parser.add_argument("--runners", type=int, nargs="+", default=[1, 10, 100, 1000])
    parser.add_argument("--seconds", type=float, default=20.0, help="length of one measurement (default 20)")
    parser.add_argument(
        "--interval", type=float, default=0.5, help="seconds between two reads of one runner: 100 steps and updates"
    )
    parser.add_argument(
        "--samples-per-ask",
        type=int,
        default=1,
        help="1: every snapshot asks the actor; 25: as trials do at the default intervals, which hold the answer",
    )
    parser.add_argument("--processes", type=int, default=4, help="that the simulated runners share (default 4)")
    main(parser.parse_args())
