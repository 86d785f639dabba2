"""How long a training took, read off its learning curve.

The definition is ours; the paper only says that fine-tuning "converges faster". A curve is smoothed by the mean of its
last five evaluations (fewer at its beginning). The training has converged at the first evaluation from which on every
smoothed score is at least 90 % of a reference: that of another training, or the curve's own final smoothed score. Every
curve ends at its own level, so there five evaluations have to be seen at it: what only gets there has not settled. The
score of a policy that has diverged, NaN, is below every level.
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

WINDOW = 5
"""Evaluations in the moving mean: single ones of ten episodes swing by tens of points."""
SHARE = 0.9


def smoothed(scores: ArrayLike, window: int = WINDOW) -> NDArray[np.float64]:
    """Mean of each score (K,) and the `window` − 1 before it, of fewer at the beginning; NaN where one of them is NaN.

    Raises:
        ValueError: `window` is not positive.
    """
    if window < 1:
        raise ValueError(f"window must be at least 1, not {window}")
    values = np.asarray(scores, dtype=np.float64)
    ends = range(1, len(values) + 1)
    return np.array([values[max(end - window, 0) : end].mean() for end in ends], dtype=np.float64)


def final_score(scores: ArrayLike, window: int = WINDOW) -> float:
    """The last smoothed score.

    Raises:
        ValueError: there is no score, or `window` is not positive.
    """
    means = smoothed(scores, window)
    if means.size == 0:
        raise ValueError("a learning curve needs at least one evaluation")
    return float(means[-1])


def steps_to_converge(
    env_steps: ArrayLike, scores: ArrayLike, reference: float | None = None, window: int = WINDOW
) -> float:
    """Environment steps of the first evaluation from which on the smoothed score stays at or over 90 % of `reference`.

    `env_steps` and `scores` are (K,), in order; the reference is the curve's own final score where None. Infinite where
    the curve ends below the level, and where it has fewer than `window` evaluations at its own. A reference that is
    negative or NaN has no 90 % to reach: NaN.

    Raises:
        ValueError: there is no evaluation, or the two have different lengths.
    """
    steps, means = np.asarray(env_steps, dtype=np.float64), smoothed(scores, window)
    if steps.shape != means.shape or steps.size == 0:
        raise ValueError(f"{steps.size} steps for {means.size} scores: a learning curve needs one step for each score")
    level = SHARE * (float(means[-1]) if reference is None else reference)
    if not level >= 0:
        return math.nan
    below = np.flatnonzero(~(means >= level))
    first = 0 if below.size == 0 else int(below[-1]) + 1
    needed = window if reference is None else 1
    return float(steps[first]) if first + needed <= steps.size else math.inf
