"""Run a policy through its evaluation, one row per episode."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from afrl_ray.envs.robots import Robot
from afrl_ray.evaluation.conditions import ConditionEpisodes
from afrl_ray.rollouts import EpisodeRunner


def evaluate(
    runner: EpisodeRunner, episodes: Sequence[ConditionEpisodes], *, policy: str, robot: Robot | None
) -> pd.DataFrame:
    """Scores of the runner's policy, called `policy`, under all conditions of `episodes`.

    All conditions go to the runner as one batch of jobs, so that none waits for another's last episode, and in turn,
    so that workers with a share of the batch each get as many of the short episodes of an effective attack.

    Columns: policy, condition, seed (the run's), episode (0 … N − 1), episode_seed (the environment's), return,
    normalised_score (0 random … 100 expert), length (steps), perturbed (some δ ≠ 0), delta (A floats).
    Without a `robot` there are no reference returns: normalised_score is NaN, and summaries fall back to returns.

    Raises:
        ValueError: no episodes, or two conditions of the same name.
    """
    names = [condition.condition for condition in episodes]
    if not names:
        raise ValueError("nothing to evaluate: no conditions were given")
    if len(set(names)) < len(names):
        raise ValueError(f"conditions must have different names, not {names}")
    deltas = np.concatenate([condition.deltas for condition in episodes])  # (sum of N, A)
    seeds = np.concatenate([condition.seeds for condition in episodes])  # (sum of N,)
    counts = [len(condition) for condition in episodes]
    indices = np.concatenate([np.arange(count) for count in counts])  # (sum of N,)
    in_turn = np.argsort(indices, kind="stable")
    result = runner.run(seeds[in_turn], deltas[in_turn])
    row = np.argsort(in_turn)
    returns, lengths = result.returns[row], result.lengths[row]
    return pd.DataFrame(
        {
            "policy": policy,
            "condition": np.repeat(np.array(names, dtype=object), counts),
            "seed": np.repeat([condition.run_seed for condition in episodes], counts),
            "episode": indices,
            "episode_seed": seeds,
            "return": returns,
            "normalised_score": robot.normalized_score(returns) if robot else np.nan,
            "length": lengths,
            "perturbed": np.any(deltas != 0, axis=1),
            "delta": deltas.tolist(),
        }
    )
