"""What an attack of equal strength costs: environment steps of plain differential evolution over those of racing."""

import sys
import time
from collections.abc import Sequence

import numpy as np

from afrl_ray.attacks.fitness import AttackResult
from afrl_ray.attacks.search import search_bank
from afrl_ray.config import AttackSettings, EnvironmentSettings, RacingSettings
from afrl_ray.networks import Policy
from afrl_ray.perturbations import Body, Multiplicative
from afrl_ray.rollouts import DistributedRollouts
from afrl_ray.seeding import derive_seed

STRENGTH_EPISODES = 30
CHECKPOINTS = (2, 4, 7, 11)
"""Generations after which the strength of a plain search is looked at."""
FEW_EPISODES = 3
"""What a plain search that economises gives each candidate."""


def compare(policy: Policy, environment: EnvironmentSettings, epsilon: float, runs: int) -> tuple[float, float]:
    """Steps of plain differential evolution for the strength of ours, over those of ours; and ours' steps per second.

    Plain is the same code with racing off, with as many episodes per candidate as a final fitness has and with few;
    the cheaper one counts. Where it never gets as strong, all of its steps count, so that the truth is larger.
    """
    seeds = [derive_seed(0, "benchmark", run) for run in range(runs)]
    started = time.perf_counter()
    fault = Multiplicative(epsilon, Body.of(policy))
    raced = search_bank(policy, environment, AttackSettings(), fault, seeds)
    seconds = time.perf_counter() - started
    steps = float(np.mean([result.environment_steps for result in raced]))
    strengths = _strengths(policy, environment, raced, (-1,))[:, 0]
    _say(environment, f"ours {steps:,.0f} steps per search, return {_interval(strengths)}")
    savings = []
    for episodes in (AttackSettings().episodes, FEW_EPISODES):
        settings = AttackSettings(episodes=episodes, racing=RacingSettings(enabled=False))
        plain = search_bank(policy, environment, settings, fault, seeds)
        plain_strengths = _strengths(policy, environment, plain, CHECKPOINTS)  # (runs, checkpoints)
        spent = np.mean([[one.history[generation][0] for generation in CHECKPOINTS] for one in plain], axis=0)
        needed, reached = steps_to_reach(float(strengths.mean()), plain_strengths.mean(axis=0), spent)
        savings.append(needed / steps)
        _say(
            environment,
            f"plain, {episodes} episodes, needs {'' if reached else 'more than '}{needed:,.0f} steps for that, "
            f"{savings[-1]:.2f} times ours; in the end {spent[-1]:,.0f} steps, return "
            f"{_interval(plain_strengths[:, -1])}",
        )
    return min(savings), steps * runs / seconds


def steps_to_reach(target: float, returns: np.ndarray, steps: np.ndarray) -> tuple[float, bool]:
    """Steps after which the falling mean `returns` (n,) are first at most `target`; all steps and False where never.

    Between two checkpoints the return is taken to fall evenly; what the first one has, to be there at once.
    """
    lowest = np.minimum.accumulate(returns)
    if lowest[-1] > target:
        return float(steps[-1]), False
    index = int(np.argmax(lowest <= target))
    if index == 0:
        return float(steps[0]), True
    share = (lowest[index - 1] - target) / (lowest[index - 1] - lowest[index])
    return float(steps[index - 1] + share * (steps[index] - steps[index - 1])), True


def _strengths(
    policy: Policy, environment: EnvironmentSettings, results: Sequence[AttackResult], generations: Sequence[int]
) -> np.ndarray:
    """Mean returns (runs, generations) on seeds that no search has seen."""
    deltas = np.stack([result.best_deltas[list(generations)] for result in results]).reshape(-1, policy.action_size)
    seeds = [derive_seed(1, "strength", episode) for episode in range(STRENGTH_EPISODES)]
    episodes = DistributedRollouts(policy, environment).run(
        np.tile(seeds, len(deltas)), np.repeat(deltas, len(seeds), axis=0)
    )
    return episodes.returns.reshape(len(results), len(generations), len(seeds)).mean(axis=2)


def _interval(values: np.ndarray) -> str:
    error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
    return f"{values.mean():,.0f} ± {error:,.0f}"


def _say(environment: EnvironmentSettings, text: str) -> None:
    print(f"{environment.id}: {text}", file=sys.stderr)
