import math
from dataclasses import replace

import numpy as np
import pytest

from afrl_ray.config import AdaptiveCurriculum, CurriculumSettings, FixedCurriculum, LinearCurriculum
from afrl_ray.curriculum.schedules import CurriculumState, initial_state, matching_q_max, mean_q, next_state


def q_sequence(settings: CurriculumSettings, scores: list[float], state: CurriculumState | None = None) -> list[float]:
    """q before the first evaluation and after each one."""
    state = state or initial_state(settings)
    values = [state.q]
    for score in scores:
        state = next_state(settings, state, score, len(scores))
        values.append(state.q)
    return values


def test_fixed_stays() -> None:
    assert q_sequence(FixedCurriculum(q=0.7), [0.1, 0.9, -3.0]) == [0.7] * 4


def test_linear_reaches_q_max_in_equal_steps() -> None:
    assert q_sequence(LinearCurriculum(q_max=0.8), [0.0] * 4) == pytest.approx([0.0, 0.2, 0.4, 0.6, 0.8])


def test_linear_never_leaves_one() -> None:
    settings = LinearCurriculum(q_max=1.0)
    state = CurriculumState(0.95)  # of a longer training
    assert next_state(settings, state, 0.0, total_evaluations=10).q == 1.0


def test_linear_ignores_the_score_and_the_average() -> None:
    settings = LinearCurriculum()
    state = next_state(settings, initial_state(settings), score=123.0, total_evaluations=10)
    assert state == CurriculumState(q=0.1, average=0.0, evaluations=1)


def test_adaptive_by_hand() -> None:
    settings = AdaptiveCurriculum(beta=0.5, kappa=0.5, max_change=1.0)
    state = initial_state(settings)
    assert state == CurriculumState(0.0, 0.0, 0)
    state = next_state(settings, state, 0.8, 3)
    assert state == CurriculumState(q=0.2, average=0.4, evaluations=1)  # S̄ 0 → 0.4, Δq = 0.5 · 0.4
    state = next_state(settings, state, 0.8, 3)
    assert (state.q, state.average) == pytest.approx((0.3, 0.6))  # Δq = 0.5 · 0.2
    state = next_state(settings, state, 0.0, 3)
    assert (state.q, state.average) == pytest.approx((0.15, 0.3))  # a worse policy gets fewer faults
    assert state.evaluations == 3


def test_the_average_is_exponential() -> None:
    settings, scores = AdaptiveCurriculum(beta=0.2), [0.5, 1.0, -0.3, 0.7]
    state = initial_state(settings)
    for score in scores:
        state = next_state(settings, state, score, len(scores))
    weights = [0.2 * 0.8**age for age in range(3, -1, -1)]
    assert state.average == pytest.approx(np.dot(weights, scores))


def test_beta_one_follows_the_score() -> None:
    settings = AdaptiveCurriculum(beta=1.0)
    assert next_state(settings, CurriculumState(0.5, 0.3), 0.9, 1).average == 0.9


@pytest.mark.parametrize(("score", "expected"), [(10.0, 0.5 + 0.1), (-10.0, 0.5 - 0.1), (0.05, 0.5 + 0.025)])
def test_one_change_is_bounded_in_both_directions(score: float, expected: float) -> None:
    settings = AdaptiveCurriculum(beta=1.0, kappa=0.5, max_change=0.1)
    assert next_state(settings, CurriculumState(0.5), score, 1).q == pytest.approx(expected)


def test_the_bound_limits_q_and_not_the_average() -> None:
    settings = AdaptiveCurriculum(beta=1.0, kappa=1.0, max_change=0.1)
    state = next_state(settings, CurriculumState(0.0), 0.9, 1)
    assert (state.q, state.average) == (0.1, 0.9)
    assert next_state(settings, state, 0.9, 1).q == 0.1  # what the bound took is not made up for


@pytest.mark.parametrize(("q", "score", "expected"), [(0.95, 5.0, 1.0), (0.05, -5.0, 0.0)])
def test_q_is_clipped_to_a_probability(q: float, score: float, expected: float) -> None:
    settings = AdaptiveCurriculum(beta=1.0, kappa=1.0, max_change=0.5)
    assert next_state(settings, CurriculumState(q), score, 1).q == expected


def test_adaptive_may_start_anywhere() -> None:
    settings = AdaptiveCurriculum(initial_q=0.4, initial_average=0.9)
    assert initial_state(settings) == CurriculumState(0.4, 0.9, 0)
    assert next_state(settings, initial_state(settings), 0.9, 1).q == 0.4


@pytest.mark.parametrize("seed", range(20))
def test_without_clipping_the_changes_telescope_to_kappa_times_the_average(seed: int) -> None:
    """q_0 = 0 and S̄_0 = 0: q_k = κ S̄_k for any scores (the property of equations 9 and 11)."""
    generator = np.random.default_rng(seed)
    beta, kappa = generator.uniform(0.01, 1.0), generator.uniform(0.01, 0.99)
    settings = AdaptiveCurriculum(beta=beta, kappa=kappa, max_change=1.0)
    state = initial_state(settings)
    for score in generator.uniform(0.0, 1.0, 50):  # S̄ stays in [0, 1], so κ S̄ is never clipped
        state = next_state(settings, state, float(score), 50)
        assert state.q == pytest.approx(kappa * state.average, abs=1e-12)


@pytest.mark.parametrize("settings", [FixedCurriculum(), LinearCurriculum(), AdaptiveCurriculum(kappa=50.0)])
def test_every_curriculum_stays_a_probability_whatever_the_scores(settings: CurriculumSettings) -> None:
    scores = np.random.default_rng(0).normal(0.0, 3.0, 200).tolist()
    assert all(0.0 <= q <= 1.0 for q in q_sequence(settings, scores))


@pytest.mark.parametrize("settings", [FixedCurriculum(), LinearCurriculum(), AdaptiveCurriculum()])
def test_a_step_leaves_its_argument_alone_and_counts(settings: CurriculumSettings) -> None:
    state = initial_state(settings)
    copy = replace(state)
    assert next_state(settings, state, 0.5, 10).evaluations == 1
    assert state == copy


# ---- linear's q_max from another training's mean q -----------------------------------------------------------------


def test_mean_q_weighs_each_q_by_how_long_it_was_in_force() -> None:
    # 0.2 for 10 steps, 0.8 for 30; what q was set to at the hand-over is in the first interval's q already
    assert mean_q([0, 10, 40], [0.0, 0.2, 0.8]) == pytest.approx(0.65)


@pytest.mark.parametrize(("steps", "q"), [([], []), ([0], [0.5]), ([0, 10], [0.5])])
def test_no_interval_has_no_mean(steps: list[float], q: list[float]) -> None:
    with pytest.raises(ValueError, match="no mean q"):
        mean_q(steps, q)


def test_the_matching_linear_schedule_has_the_mean_it_was_made_for() -> None:
    evaluations, wanted = 30, 0.37
    settings = LinearCurriculum(q_max=matching_q_max(wanted, evaluations))
    state, qs = initial_state(settings), [0.0]
    for _ in range(evaluations):
        state = next_state(settings, state, 0.0, evaluations)
        qs.append(state.q)
    assert mean_q([5000 * k for k in range(evaluations + 1)], qs) == pytest.approx(wanted)
    # K = 3: q is 1/3, 2/3 and 1 times q_max, their mean 2/3
    assert matching_q_max(0.4, 3) == pytest.approx(0.6)


def test_a_mean_that_no_schedule_reaches_gets_the_largest_q_max() -> None:
    assert matching_q_max(0.9, 30) == 1.0
    qs = q_sequence(LinearCurriculum(q_max=1.0), [0.0] * 30)
    assert mean_q(list(range(31)), qs) == pytest.approx(31 / 60)  # 0.517


def test_a_score_that_is_no_number_moves_no_q() -> None:
    settings = AdaptiveCurriculum(beta=0.5, kappa=1.0)
    before = next_state(settings, initial_state(settings), 0.4, 10)
    after = next_state(settings, before, math.nan, 10)
    assert after == replace(before, evaluations=2)
    assert next_state(settings, after, 0.4, 10).q == next_state(settings, before, 0.4, 10).q
