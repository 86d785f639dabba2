"""The curricula over q as pure functions (Ayabe et al. 2025, equations 9 to 11 and 20)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from afrl_ray.config import (
    AdaptiveCurriculum,
    CurriculumSettings,
    FinetuneSettings,
    FixedCurriculum,
    LinearCurriculum,
)


@dataclass(frozen=True)
class CurriculumState:
    """Where a curriculum stands after some periodic evaluations."""

    q: float
    """Probability that an episode is perturbed."""
    average: float = 0.0
    """S̄_k, the moving average of the score (normalised score / 100)."""
    evaluations: int = 0
    """k, the number of evaluations taken into account."""


def initial_state(settings: CurriculumSettings) -> CurriculumState:
    """The state before the first evaluation."""
    if isinstance(settings, FixedCurriculum):
        return CurriculumState(settings.q)
    if isinstance(settings, LinearCurriculum):
        return CurriculumState(0.0)
    return CurriculumState(settings.initial_q, settings.initial_average)


def next_state(
    settings: CurriculumSettings, state: CurriculumState, score: float, total_evaluations: int
) -> CurriculumState:
    """q_{k+1} = clip(q_k + Δq_k, 0, 1) after one more evaluation (equation 9).

    `score` is S_k, the normalised score / 100; `total_evaluations` is K, used by the linear schedule. NaN, the score of
    a policy that has diverged, moves no adaptive q.
    """
    if isinstance(settings, AdaptiveCurriculum):
        if math.isnan(score):
            return replace(state, evaluations=state.evaluations + 1)
        average = (1.0 - settings.beta) * state.average + settings.beta * score  # equation 11
        change = settings.kappa * (average - state.average)
        bounded = _clip(change, -settings.max_change, settings.max_change)  # equation 20
        return CurriculumState(_clip(state.q + bounded, 0.0, 1.0), average, state.evaluations + 1)
    change = settings.q_max / total_evaluations if isinstance(settings, LinearCurriculum) else 0.0  # equation 10
    return replace(state, q=_clip(state.q + change, 0.0, 1.0), evaluations=state.evaluations + 1)


def total_evaluations(finetune: FinetuneSettings) -> int:
    """K, the number of evaluations that move q; the one after the last step moves nothing."""
    return -(-finetune.steps // finetune.evaluation_interval)


def mean_q(env_steps: Sequence[float], q: Sequence[float]) -> float:
    """Mean of q over a training, from its evaluations (K + 1,): the first one at step 0, q_k in force before the k-th.

    Raises:
        ValueError: there is no interval to average over.
    """
    total = env_steps[-1] - env_steps[0] if len(env_steps) else 0
    if total <= 0 or len(env_steps) != len(q):
        raise ValueError(f"no mean q over {len(env_steps)} evaluations")
    lengths = [after - before for before, after in pairwise(env_steps)]
    return sum(length * value for length, value in zip(lengths, q[1:], strict=True)) / total


def matching_q_max(mean: float, total_evaluations: int) -> float:
    """The q_max with which the mean of the linear schedule's q over the training comes nearest to `mean`.

    In the k-th of K intervals q is q_max k / K (equation 10), so that its mean is q_max (K + 1) / (2 K). q_max is a
    probability: a mean beyond (K + 1) / (2 K), hardly more than a half, is out of reach, and gets 1.
    """
    return _clip(mean * 2 * total_evaluations / (total_evaluations + 1), 0.0, 1.0)


def _clip(value: float, low: float, high: float) -> float:
    return min(max(value, low), high)
