import math

import numpy as np
import pytest

from afrl_ray.evaluation.convergence import final_score, smoothed, steps_to_converge


def test_the_moving_mean_looks_back() -> None:
    np.testing.assert_allclose(smoothed([1, 2, 3, 4, 5], window=3), [1, 1.5, 2, 3, 4])
    np.testing.assert_allclose(smoothed([4, 2], window=1), [4, 2])
    assert smoothed([]).tolist() == []


def test_the_final_score_is_the_mean_of_the_last_five() -> None:
    assert final_score([0, 0, 10, 20, 30, 40, 50]) == 30
    assert final_score([10, 20]) == 15


def test_converged_where_the_curve_reaches_its_level() -> None:
    steps = [0, 10, 20, 30, 40]
    # its own end is 100, so the level is 90: reached at 20 and held
    assert steps_to_converge(steps, [0, 50, 90, 95, 100], window=1) == 20
    # smoothed over two it is 0, 25, 70, 92.5, 97.5, with the level 87.75
    assert steps_to_converge(steps, [0, 50, 90, 95, 100], window=2) == 30


def test_a_score_that_is_lost_again_does_not_count() -> None:
    assert steps_to_converge([0, 10, 20, 30], [95, 20, 90, 100], window=1) == 20


def test_a_curve_that_always_holds_its_level_needs_no_step() -> None:
    assert steps_to_converge([0, 10], [100, 100], window=2) == 0
    assert steps_to_converge([0, 10], [100, 50], window=1) == 0  # its own final score is low


def test_a_curve_that_still_rises_at_its_end_has_not_converged() -> None:
    steps = [0, 10, 20, 30, 40, 50, 60]
    # smoothed over two it is 0, 5, 15, 25, 35, 45, 55: only the last is over its own level, 49.5
    assert steps_to_converge(steps, [0, 10, 20, 30, 40, 50, 60], window=2) == math.inf
    assert steps_to_converge(steps, [0, 10, 20, 30, 40, 50, 60], reference=50, window=2) == 50
    # 0, 5, 15, 25, 35, 50, 55: two of them are
    assert steps_to_converge(steps, [0, 10, 20, 30, 40, 60, 50], window=2) == 50


def test_the_reference_may_be_another_training_s() -> None:
    steps, scores = [0, 10, 20], [0, 50, 100]
    assert steps_to_converge(steps, scores, reference=50, window=1) == 10
    assert steps_to_converge(steps, scores, reference=120, window=1) == math.inf
    assert math.isnan(steps_to_converge(steps, scores, reference=-1, window=1))


def test_curves_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="2 steps for 1 scores"):
        steps_to_converge([0, 1], [0])
    with pytest.raises(ValueError, match="0 steps for 0 scores"):
        steps_to_converge([], [])
    with pytest.raises(ValueError, match="at least one evaluation"):
        final_score([])
    with pytest.raises(ValueError, match="window must be at least 1"):
        smoothed([1], window=0)


def test_a_policy_that_has_diverged_has_not_converged() -> None:
    nan = math.nan
    assert math.isnan(steps_to_converge(range(7), [50, 60, nan, nan, nan, nan, nan]))
    assert steps_to_converge(range(7), [10, 20, nan, nan, nan, nan, nan], reference=90) == math.inf
    assert math.isnan(steps_to_converge(range(3), [10, 20, 30], reference=nan))
    # what one evaluation was is gone five evaluations later
    assert final_score([10, nan, 100, 100, 100, 100, 100]) == 100
    assert steps_to_converge(range(12), [10, nan, *[100] * 10]) == 6
