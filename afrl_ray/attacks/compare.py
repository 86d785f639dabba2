"""Attackers side by side: the lowest return that each optimizer finds, against what it costs."""

import math
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import pandas as pd

from afrl_ray.attacks.fitness import AttackResult
from afrl_ray.attacks.optimizers import OPTIMIZERS
from afrl_ray.attacks.search import ProgressReport, search_attacks
from afrl_ray.config import AttackSettings
from afrl_ray.perturbations import Fault
from afrl_ray.rollouts import CandidateRunner, EpisodeRunner
from afrl_ray.seeding import derive_seed

PLAIN = "DE without racing"
"""What an attacker is called that is differential evolution as the others play: every episode, of every candidate."""

_PLANNED_SHARE = 0.5
"""How much of an episode's longest duration the optimizers plan with, some of which shift from exploring to exploiting
as their number of candidates runs out. The budget of steps alone ends a search."""


class Rollouts(CandidateRunner, EpisodeRunner, Protocol):
    """`afrl_ray.rollouts.DistributedRollouts` of the attacked policy is one, and `LocalRollouts`."""


def compare_attackers(
    runner: Rollouts,
    fault: Fault,
    settings: AttackSettings,
    *,
    longest_episode: int,
    step_budget: int,
    plain_episodes: int,
    seeds: Sequence[int],
    optimizers: Sequence[str] = (*OPTIMIZERS, PLAIN),
    measuring_episodes: int = 50,
    progress: ProgressReport | None = None,
) -> pd.DataFrame:
    """For each of `optimizers` and `seeds` a search against the runner's policy, with `step_budget` environment steps.

    Without racing every candidate plays `plain_episodes`, which decide how many candidates the budget is enough for.

    A search ends with the generation in which it used up its budget; racing then still chooses its result, and these
    steps count too. What a search believed at the end of each generation is played again over `measuring_episodes`
    whole episodes with seeds that no search has seen, the same for all: a search's own figure is that of its luckiest
    candidate. These episodes are no part of the costs.

    Columns: optimizer, seed, generation, environment_steps (so far), fitness (what the search believed its best to
    be), return (what it is), delta (θ), candidates (tried in the whole search).

    Raises:
        ValueError: an optimizer that nevergrad does not know.
    """
    tables = []
    for done, optimizer in enumerate(optimizers):
        own = _attacker(settings, optimizer, plain_episodes)
        generation = own.population * own.episodes * longest_episode * _PLANNED_SHARE
        planned = math.ceil(step_budget / generation)
        own = own.model_copy(update={"step_budget": step_budget, "generations": planned})
        results = search_attacks(runner, own, fault, seeds)
        tables += [_rows(optimizer, result) for result in results]
        if progress:
            progress.update(done + 1, optimizer)
    rows = pd.concat(tables, ignore_index=True)
    return rows.assign(**{"return": _returns(runner, fault, np.stack(rows["delta"]), measuring_episodes)})[
        ["optimizer", "seed", "generation", "environment_steps", "fitness", "return", "delta", "candidates"]
    ]


def lowest_returns(comparison: pd.DataFrame, environment_steps: Sequence[int]) -> pd.DataFrame:
    """What each optimizer had found when it had spent so much: the return of its latest best candidate.

    Rows optimizer, environment_steps, mean, se (over its searches, NaN for a single one), n; searches that had not
    finished a generation by then are left out.
    """
    rows = []
    for optimizer, own in comparison.groupby("optimizer", sort=False):
        for steps in environment_steps:
            known = own[own["environment_steps"] <= steps].groupby("seed").tail(1)["return"]
            error = known.std(ddof=1) / math.sqrt(len(known)) if len(known) > 1 else math.nan
            if len(known):
                rows.append((optimizer, steps, known.mean(), error, len(known)))
    return pd.DataFrame(rows, columns=["optimizer", "environment_steps", "mean", "se", "n"])


def _attacker(settings: AttackSettings, optimizer: str, plain_episodes: int) -> AttackSettings:
    if optimizer == "DE" and settings.racing.enabled:
        return settings.model_copy(update={"optimizer": optimizer})
    racing = settings.racing.model_copy(update={"enabled": False})
    name = "DE" if optimizer == PLAIN else optimizer
    return settings.model_copy(update={"optimizer": name, "racing": racing, "episodes": plain_episodes})


def _rows(optimizer: str, result: AttackResult) -> pd.DataFrame:
    steps, fitness = zip(*result.history, strict=True)
    return pd.DataFrame(
        {
            "optimizer": optimizer,
            "seed": result.seed,
            "generation": range(1, len(steps) + 1),
            "environment_steps": steps,
            "fitness": fitness,
            "delta": result.best_deltas.tolist(),
            "candidates": result.candidates,
        }
    )


def _returns(runner: EpisodeRunner, fault: Fault, parameters: np.ndarray, episodes: int) -> np.ndarray:
    """Mean returns (n,) of `parameters` (n, P); each that occurs several times is played once."""
    different, row = np.unique(parameters.astype(np.float32), axis=0, return_inverse=True)
    seeds = np.array([derive_seed(0, "attackers", "measuring", episode) for episode in range(episodes)])
    played = runner.run(np.tile(seeds, len(different)), np.repeat(different, episodes, axis=0), fault)
    return played.returns.reshape(len(different), episodes).mean(axis=1)[row.ravel()]
