"""Measuring ours and its peers side by side: what every benchmark script shares.

A script names its contestants, each a function that does a fixed piece of work and returns a rate (higher is better):

    arguments = parse_arguments(__doc__, repeats=5)
    rates = measure({"ours": run_ours, "plain": run_plain}, arguments.repeats)
    report("attack_search", rates, arguments, unit="environment steps/s", threads={"ours": 2, "plain": 1})
"""

import argparse
import importlib.metadata
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

Contestant = Callable[[], float]
Rates = dict[str, list[float]]  # contestant -> one rate per repeat, in the order measured


def argument_parser(description: str | None, repeats: int) -> argparse.ArgumentParser:
    """`--json` and `--repeats`; a script adds its own options."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print the figures as one JSON object on the last line")
    parser.add_argument(
        "--repeats", type=int, default=repeats, help=f"measurements of each contestant (default {repeats})"
    )
    return parser


def parse_arguments(description: str | None, repeats: int) -> argparse.Namespace:
    """The arguments of a script that has no options of its own."""
    return argument_parser(description, repeats).parse_args()


def rate(work: Callable[[], int]) -> float:
    """Units of work done per second, by the wall clock."""
    started = time.perf_counter()
    units = work()
    return units / (time.perf_counter() - started)


def measure(contestants: Mapping[str, Contestant], repeats: int) -> Rates:
    """Measure all contestants `repeats` times, in turns.

    Every second turn goes backwards, so that a machine that slows down steadily favours nobody.

    Raises:
        ValueError: `repeats` is not positive.
    """
    if repeats < 1:
        raise ValueError(f"repeats must be at least 1, not {repeats}")
    rates: Rates = {name: [] for name in contestants}
    for repeat in range(repeats):
        for name in list(contestants)[:: 1 if repeat % 2 == 0 else -1]:
            rates[name].append(float(contestants[name]()))
            print(f"repeat {repeat + 1} of {repeats}: {name} {rates[name][-1]:,.4g}", file=sys.stderr)
    return rates


def ratio(ours: Sequence[float], peer: Sequence[float]) -> float:
    """Median over the repeats of ours / peer: neighbours in time are compared, so a change in load cancels."""
    return statistics.median(a / b for a, b in zip(ours, peer, strict=True))


def machine() -> str:
    """Processor, cores and the versions that decide the speed, in one line."""
    processor = platform.processor() or platform.machine()
    cpu_info = Path("/proc/cpuinfo")
    if cpu_info.is_file():
        models = [line for line in cpu_info.read_text().splitlines() if line.startswith("model name")]
        processor = models[0].partition(":")[2].strip() if models else processor
    versions = [f"python {platform.python_version()}"]
    for package in ("torch", "mujoco", "envpool", "gymnasium", "ray"):
        try:
            versions.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return f"{processor}, {os.cpu_count()} cores; " + ", ".join(versions)


def record_parser(description: str | None) -> argparse.ArgumentParser:
    """`--json` and `--output`, for a script without peers."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print the figures as one JSON object on the last line")
    parser.add_argument("--output", type=Path, help="JSON file to write")
    return parser


def print_record(result: Mapping[str, Any], arguments: argparse.Namespace) -> None:
    """`write_record`, and print it: on one line with `--json`, otherwise to be read."""
    result = write_record(result, arguments)
    print(json.dumps(result) if arguments.json else json.dumps(result, indent=1))


def write_record(result: Mapping[str, Any], arguments: argparse.Namespace) -> dict[str, Any]:
    """A script's result with the commit, written to `--output` if that is given."""
    result = _with_commit(result)
    if arguments.output:
        arguments.output.write_text(json.dumps(result, indent=1) + "\n")
    return result


def _with_commit(result: Mapping[str, Any]) -> dict[str, Any]:
    from afrl_ray.pipeline.artifacts import git_commit

    return {**result, "commit": git_commit()}


def report(
    name: str,
    rates: Rates,
    arguments: argparse.Namespace,
    *,
    unit: str,
    threads: Mapping[str, int],
    extra_ratios: Mapping[str, float] | None = None,
) -> None:
    """Print medians and ratios as a table and, with `--json`, as the last line.

    `rates` holds "ours", perhaps variants of it ("ours ..."), and the peers. `extra_ratios` are ratios that the script
    worked out otherwise.
    """
    figures = {contestant: statistics.median(values) for contestant, values in rates.items()}
    variants = [name for name in rates if name.startswith("ours ")]
    peers = [name for name in rates if name != "ours" and name not in variants]
    ratios = {peer: ratio(rates["ours"], rates[peer]) for peer in peers}
    print(f"{name} ({unit}; median of {arguments.repeats})\n{machine()}")
    for contestant, figure in figures.items():
        thread_count = threads[contestant]
        against = f"  ours / {contestant} = {ratios[contestant]:.2f}" if contestant in ratios else ""
        print(f"  {contestant:<16} {figure:>14,.4g}  {thread_count} thread{'s' * (thread_count != 1)}{against}")
    for label, value in (extra_ratios or {}).items():
        print(f"  {label} = {value:.2f}")
    if arguments.json:
        line = {
            "name": name,
            "ours": figures["ours"],
            "variants": {variant.removeprefix("ours "): figures[variant] for variant in variants},
            "peers": {peer: figures[peer] for peer in peers},
            "ratios": {**ratios, **(extra_ratios or {})},
            "rates": rates,
            "repeats": arguments.repeats,
            "threads": dict(threads),
            "unit": unit,
            "machine": machine(),
        }
        print(json.dumps(_with_commit(line)))
