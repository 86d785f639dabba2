"""Mean and standard error over all episodes of all runs, as the paper reports them."""

import math
from collections.abc import Mapping, Sequence
from typing import TypedDict

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

MEAN = "mean"
"""Name of the mean over the conditions, beside the conditions themselves."""


class Estimate(TypedDict):
    """A mean over `n` episodes and its standard error (NaN for a single episode)."""

    mean: float
    se: float
    n: int


Summary = dict[str, dict[str, Estimate]]
"""{policy: {condition: Estimate}}, with `mean` as one more condition."""


def estimate(values: ArrayLike) -> Estimate:
    """Mean and standard error s / √n of `values` (n,), s with n − 1 degrees of freedom.

    Raises:
        ValueError: there are no values.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.size == 0:
        raise ValueError("no episodes to average")
    spread = float(array.std(ddof=1)) if array.size > 1 else math.nan
    return Estimate(mean=float(array.mean()), se=spread / math.sqrt(array.size), n=array.size)


def score_column(scores: pd.DataFrame) -> str:
    """`normalised_score`, or `return` where no normalised score is known for some row (an unlisted environment).

    A policy that has diverged returns NaN; that is known.
    """
    unknown = scores["normalised_score"].isna() & scores["return"].notna()
    return "return" if bool(unknown.any()) else "normalised_score"


def group_means(rows: pd.DataFrame, by: Sequence[str], column: str) -> pd.Series:
    """The mean of `column` in each group of the columns `by`, NaN where one of its values is: a policy has diverged."""
    groups = rows.groupby(list(by), sort=False)[column]
    return groups.mean().where(groups.count() == groups.size())


def summarise(scores: pd.DataFrame, averaged: tuple[str, ...] = ("normal", "random", "adversarial")) -> Summary:
    """Estimates per policy and condition from rows of `evaluate`, pooled over the runs (column `seed`).

    Scores are normalised (0 … 100), or raw returns where `score_column` says so. `mean` first averages each episode
    over those of `averaged` that occur in `scores`, then takes the estimate: conditions of one episode share its seed
    and its run, and are not independent. A policy that lacks one of them has no mean.

    Raises:
        ValueError: two rows are the same episode, so that it would count twice.
    """
    column = score_column(scores)
    repeated = scores.duplicated(["policy", "condition", "seed", "episode"])
    if repeated.any():
        policy, condition, seed, episode = scores.loc[repeated, ["policy", "condition", "seed", "episode"]].iloc[0]
        raise ValueError(
            f"policy {policy!r} has episode {episode} of seed {seed} twice under {condition!r}; "
            "give each run its own seed or its own policy name"
        )
    present = [condition for condition in averaged if bool((scores["condition"] == condition).any())]
    summary: Summary = {}
    for policy, rows in scores.groupby("policy", sort=False):
        estimates = {
            str(condition): estimate(group[column]) for condition, group in rows.groupby("condition", sort=False)
        }
        values = rows.pivot(index=["seed", "episode"], columns="condition", values=column).reindex(columns=present)
        played = rows[rows["condition"].isin(present)].groupby(["seed", "episode"]).size()
        paired = values[played.reindex(values.index) == len(present)]
        if len(paired) > 0:
            estimates[MEAN] = estimate(paired.mean(axis=1, skipna=False))
        summary[str(policy)] = estimates
    return summary


def mixture_score(scores: Mapping[str, float], condition: str, q: float) -> float:
    """(1 − q) · normal + q · `condition`: the expected score in the training mixture, from scores per condition.

    It needs no episodes beyond those of the conditions, and has no noise from which episodes are perturbed.
    """
    return (1.0 - q) * scores["normal"] + q * scores[condition]
