"""Our trainings with the learner on a GPU, against the same trainings on the processor of the same machine.

Offline TD3+BC (updates per second) with networks of 256 x 256 and batches of 256, and again four times as wide and as
large; and one, two and four trainings by online TD3 on Hopper-v4 at once (environment steps per second, one update
each), each in a process with one core, which share one GPU or have none. Mixed precision on the processor is left out
where it has no bfloat16 instructions.
"""

import argparse
import os
import statistics
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import ray
import torch

import offline_td3_bc
from side_by_side import Contestant, machine, measure, print_record, ratio, record_parser
from training import Advance, mixed_precision_pays, paced, start_ray
from two_trials import Trial, total_rate

WIDE = 1024
TRIALS = (1, 2, 4)


def on_both(make: Callable[..., Advance], warm_up: int, arguments: argparse.Namespace) -> dict[str, Contestant]:
    """`make(mixed_precision, threads, gpus)` on the GPU and on the processor, in float32 and in mixed precision."""
    places: dict[str, tuple[str, float]] = {"gpu": ("off", 1.0), "gpu mixed": ("on", 1.0), "cpu": ("off", 0.0)}
    if mixed_precision_pays():
        places["cpu mixed"] = ("on", 0.0)
    return {
        name: paced(make(mode, arguments.threads, gpus), warm_up=warm_up, arguments=arguments)
        for name, (mode, gpus) in places.items()
    }


def many_trials(arguments: argparse.Namespace) -> dict[str, Contestant]:
    """1, 2 and 4 trainings at once, on one GPU and on as many cores; mixed precision where it pays, as by default."""
    contestants: dict[str, Contestant] = {}
    for place, gpus in (("gpu", 1.0 / max(TRIALS)), ("cpu", 0.0)):
        trials: list[Any] = [Trial.options(num_gpus=gpus).remote(seed, "auto", gpus) for seed in range(max(TRIALS))]
        ray.get([trial.ready.remote() for trial in trials])
        for count in TRIALS:
            contestants[f"{place}, {count}"] = partial(total_rate, trials[:count], arguments.seconds)
    return contestants


def summary(contestants: Mapping[str, Contestant], unit: str, repeats: int) -> dict[str, Any]:
    rates = measure(contestants, repeats)
    pairs = {name: name.replace("gpu", "cpu") for name in rates if name.startswith("gpu")}
    return {
        "unit": unit,
        "medians": {name: statistics.median(values) for name, values in rates.items()},
        "ratios": {f"{a} / {b}": ratio(rates[a], rates[b]) for a, b in pairs.items() if b in rates},
        "rates": rates,
    }


def main(arguments: argparse.Namespace) -> None:
    if not torch.cuda.is_available():
        raise SystemExit("torch finds no GPU on this machine")
    if (os.cpu_count() or 1) < 2 * max(TRIALS):
        raise SystemExit(f"{2 * max(TRIALS)} trainings take that many cores, and this machine has {os.cpu_count()}")
    start_ray()
    wide = partial(offline_td3_bc.ours, hidden_sizes=(WIDE, WIDE), batch_size=WIDE)
    sections = {
        "trials at once": (lambda: many_trials(arguments), "environment steps/s of all together"),
        "offline TD3+BC": (lambda: on_both(offline_td3_bc.ours, offline_td3_bc.WARM_UP, arguments), "updates/s"),
        f"offline TD3+BC, {WIDE} wide": (lambda: on_both(wide, 10, arguments), "updates/s"),
    }
    result = {
        "name": "gpu",
        "machine": machine(),
        "gpu": torch.cuda.get_device_name(),
        "cuda": torch.version.cuda,
        "threads": arguments.threads,
        "repeats": arguments.repeats,
        "seconds": arguments.seconds,
        "sections": {},
    }
    for name, (make, unit) in sections.items():
        result["sections"][name] = summary(make(), unit, arguments.repeats)
        print_record(result, arguments)  # so that what is measured is not lost with the rest


if __name__ == "__main__":
    parser = record_parser(__doc__)
    parser.add_argument("--repeats", type=int, default=3, help="measurements of each contestant (default 3)")
    parser.add_argument("--seconds", type=float, default=10, help="length of one measurement (default 10)")
    parser.add_argument("--threads", type=int, default=1, help="torch threads on the processor (default 1)")
    main(parser.parse_args())
