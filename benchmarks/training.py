"""What the benchmarks of training share: their options, measuring for so many seconds, and which peers are there."""

import argparse
import contextlib
import importlib.util
import io
import logging
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import ray
import torch

from afrl_ray.algorithms.precision import has_bfloat16_instructions
from side_by_side import Contestant, Rates, argument_parser, rate, ratio

HIDDEN_SIZES = (256, 256)
BATCH_SIZE = 256

Advance = Callable[[int], int]
"""Does at least so many steps or updates, and returns how many it did."""


def start_ray(**options: Any) -> None:
    """A Ray of this script's own, without its notices."""
    ray.init(address="local", include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR, **options)
    for name in ("ray", "ray.rllib"):
        logging.getLogger(name).setLevel(logging.ERROR)


def training_parser(description: str | None, repeats: int, seconds: float) -> argparse.ArgumentParser:
    """`--json`, `--repeats`, `--seconds` and `--threads`."""
    parser = argument_parser(description, repeats)
    parser.add_argument(
        "--seconds", type=float, default=seconds, help=f"length of one measurement (default {seconds:g})"
    )
    parser.add_argument("--threads", type=int, default=1, help="torch threads of every contestant (default 1)")
    return parser


def paced(advance: Advance, *, warm_up: int, arguments: argparse.Namespace) -> Contestant:
    """A contestant whose every measurement takes about `arguments.seconds`.

    The first is preceded by `warm_up` units that do not count, then by a second of work that only sets the pace.
    """
    pace = 0.0

    def contestant() -> float:
        nonlocal pace
        torch.set_num_threads(arguments.threads)
        if not pace:
            pace = rate(lambda: advance(warm_up))
            pace = rate(lambda: advance(max(1, round(pace))))
        pace = rate(lambda: advance(max(1, round(pace * arguments.seconds))))
        return pace

    return contestant


def advancing(algorithm: Any) -> Advance:
    """One of our RLlib Algorithms, by its own `train()`."""

    def advance(steps: int) -> int:
        before = algorithm.step_count
        while algorithm.step_count < before + steps:
            algorithm.train()
        return int(algorithm.step_count - before)

    return advance


def mixed_precision_pays() -> bool:
    """Whether there are bfloat16 instructions here; without them `mixed` is left out, with a word on it."""
    pays = has_bfloat16_instructions(torch.device("cpu"))
    if not pays:
        print("this processor has no bfloat16 instructions: mixed precision is left out", file=sys.stderr)
    return pays


def mixed_ratios(rates: Rates) -> dict[str, float]:
    """Mixed precision against every peer, where it was measured."""
    if "ours mixed" not in rates:
        return {}
    peers = [name for name in rates if not name.startswith("ours")]
    return {f"mixed / {peer}": ratio(rates["ours mixed"], rates[peer]) for peer in peers}


def is_installed(package: str) -> bool:
    """Whether a peer can be measured; if not, says how to get it."""
    found = importlib.util.find_spec(package) is not None
    if not found:
        print(
            f"{package} is not installed and left out: pip install --no-deps -r benchmarks/requirements.txt",
            file=sys.stderr,
        )
    return found


@contextlib.contextmanager
def quiet_imports() -> Iterator[None]:
    """The peers import gym, which prints a long notice when it is."""
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        yield


def quiet_d3rlpy() -> ModuleType:
    """d3rlpy without its log."""
    with quiet_imports():
        import d3rlpy
        import structlog
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    return d3rlpy  # type: ignore[no-any-return]
