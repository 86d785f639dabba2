"""Run a policy through its evaluation, one row per episode."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from afrl_ray.envs.robots import Robot
from afrl_ray.evaluation.conditions import ConditionEpisodes
from afrl_ray.perturbations import Fault
from afrl_ray.rollouts import EpisodeRunner

_COLUMNS = [
    "policy",
    "condition",
    "seed",
    "episode",
    "episode_seed",
    "return",
    "normalised_score",
    "length",
    "perturbed",
    "delta",
]


def evaluate(
    runner: EpisodeRunner, episodes: Sequence[ConditionEpisodes], *, policy: str, robot: Robot | None
) -> pd.DataFrame:
    """Scores of the runner's policy, called `policy`, under all conditions of `episodes`.

    All conditions under one fault go to the runner as one batch of jobs, so that none waits for another's last
    episode, and in turn, so that workers with a share of the batch each get as many of the short episodes of an
    effective attack.

    Columns: policy, condition, seed (the run's), episode (0 … N − 1), episode_seed (the environment's), return,
    normalised_score (0 random … 100 expert), length (steps), perturbed (θ is not neutral), delta (θ, P floats; NaN
    where each step chooses anew).
    Without a `robot` there are no reference returns: normalised_score is NaN, and summaries fall back to returns.

    Raises:
        ValueError: no episodes, or two conditions of the same name.
    """
    names = [condition.condition for condition in episodes]
    if not names:
        raise ValueError("nothing to evaluate: no conditions were given")
    if len(set(names)) < len(names):
        raise ValueError(f"conditions must have different names, not {names}")
    tables: dict[int, pd.DataFrame] = {}
    for fault in dict.fromkeys(condition.fault for condition in episodes):
        own = [index for index, condition in enumerate(episodes) if condition.fault == fault]
        tables |= zip(own, _play(runner, [episodes[index] for index in own], fault), strict=True)
    scores = pd.concat([tables[index] for index in range(len(episodes))], ignore_index=True)
    normalised = robot.normalized_score(scores["return"]) if robot else np.nan
    return scores.assign(policy=policy, normalised_score=normalised)[_COLUMNS]


def _play(runner: EpisodeRunner, episodes: Sequence[ConditionEpisodes], fault: Fault) -> list[pd.DataFrame]:
    """A table for each of `episodes`, all of them under `fault`."""
    parameters = np.concatenate([condition.parameters for condition in episodes])  # (sum of N, P)
    seeds = np.concatenate([condition.seeds for condition in episodes])  # (sum of N,)
    counts = [len(condition) for condition in episodes]
    indices = np.concatenate([np.arange(count) for count in counts])  # (sum of N,)
    in_turn = np.argsort(indices, kind="stable")
    result = runner.run(seeds[in_turn], parameters[in_turn], fault)
    row = np.argsort(in_turn)
    rows = pd.DataFrame(
        {
            "condition": np.repeat(np.array([condition.condition for condition in episodes], dtype=object), counts),
            "seed": np.repeat([condition.run_seed for condition in episodes], counts),
            "episode": indices,
            "episode_seed": seeds,
            "return": result.returns[row],
            "length": result.lengths[row],
            "perturbed": np.any(parameters != fault.neutral, axis=1),
            "delta": parameters.tolist(),
        }
    )
    ends = np.cumsum(counts)
    return [rows.iloc[end - count : end] for end, count in zip(ends, counts, strict=True)]
