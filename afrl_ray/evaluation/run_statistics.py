"""Statistics over independent runs, as Agarwal et al. 2021 (arXiv:2108.13264) recommend for few runs.

A *task* here is whatever is reported in one number per run: a condition, or a robot under a condition. Every function
takes one array (runs,) of scores for each task, and tasks may have different numbers of runs.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Scores = NDArray[np.float64]

CONFIDENCE = 0.95
RESAMPLES = 10_000
"""Bootstrap resamples; the ends of an interval move by less than a tenth of its width from seed to seed."""
_TRIMMED = 0.25


class Interval(NamedTuple):
    """A statistic and its 95 % bootstrap interval, whose ends are NaN where some task has a single run."""

    value: float
    low: float
    high: float


def interquartile_mean(tasks: Sequence[ArrayLike]) -> Interval:
    """Mean of the middle half of all scores, with a stratified bootstrap interval.

    A quarter of the scores, rounded down, is dropped at either end: with fewer than four scores it is the mean. It is
    NaN where a score is: no other run may stand for one that has diverged.

    Raises:
        ValueError: there is no score.
    """
    samples = _arrays(tasks)
    if any(np.isnan(sample).any() for sample in samples):
        return Interval(math.nan, math.nan, math.nan)

    def middle_mean(*resampled: Scores, axis: int = -1) -> Scores:
        pooled = np.concatenate(resampled, axis=axis)  # (..., scores of all tasks)
        return np.asarray(stats.trim_mean(pooled, _TRIMMED, axis=axis))

    return _bootstrapped(samples, middle_mean)


def probability_of_improvement(tasks: Sequence[ArrayLike], baseline: Sequence[ArrayLike]) -> Interval:
    """P(X > Y): how often a run beats a run of the baseline in the same task, averaged over tasks.

    Every run is compared with every run of the baseline, a tie counts half: the Mann-Whitney U statistic over the
    number of pairs. NaN, the score of a run that has diverged, is less than any other. The interval comes from
    resampling the runs of both, within each task.

    Raises:
        ValueError: there is no task, a task has no run, or the baseline has other tasks.
    """
    ours, theirs = ([np.where(np.isnan(one), -np.inf, one) for one in _arrays(side)] for side in (tasks, baseline))
    if len(ours) != len(theirs):
        raise ValueError(f"{len(ours)} tasks cannot be compared with {len(theirs)} of the baseline")

    def wins(*resampled: Scores, axis: int = -1) -> Scores:
        del axis  # always the last one
        pairs = zip(resampled[: len(ours)], resampled[len(ours) :], strict=True)
        shares = []
        for runs, others in pairs:
            mine, its = runs[..., :, None], others[..., None, :]  # (..., runs, 1), (..., 1, runs of the baseline)
            shares.append(((mine > its) + 0.5 * (mine == its)).mean(axis=(-2, -1)))
        return np.mean(shares, axis=0)  # type: ignore[no-any-return]

    return _bootstrapped([*ours, *theirs], wins)


def _arrays(tasks: Sequence[ArrayLike]) -> list[Scores]:
    samples = [np.asarray(task, dtype=np.float64).reshape(-1) for task in tasks]
    if not samples or any(sample.size == 0 for sample in samples):
        raise ValueError("every task needs the score of at least one run")
    return samples


def _bootstrapped(samples: Sequence[Scores], statistic: Callable[..., Scores]) -> Interval:
    """`statistic` of the samples, and the percentile interval of it when each sample is resampled by itself."""
    value = float(statistic(*samples))
    if min(sample.size for sample in samples) < 2:
        return Interval(value, math.nan, math.nan)
    result = stats.bootstrap(
        samples,
        statistic,
        n_resamples=RESAMPLES,
        confidence_level=CONFIDENCE,
        method="percentile",
        vectorized=True,
        random_state=np.random.default_rng(0),  # the same scores have the same interval
    )
    return Interval(value, float(result.confidence_interval.low), float(result.confidence_interval.high))
