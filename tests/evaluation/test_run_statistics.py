import math
import warnings

import numpy as np
import pytest

from afrl_ray.evaluation.run_statistics import interquartile_mean, probability_of_improvement


def test_the_interquartile_mean_drops_a_quarter_at_either_end() -> None:
    assert interquartile_mean([[0.0, 10.0, 20.0, 1000.0]]).value == 15.0
    assert interquartile_mean([[1000.0, 10.0], [20.0, 0.0]]).value == 15.0  # all tasks' runs are pooled
    # 10 scores: int(2.5) = 2 go at either end, the mean of 3 … 8 stays
    assert interquartile_mean([np.arange(1, 11)]).value == 5.5


def test_with_fewer_than_four_scores_it_is_the_mean() -> None:
    assert interquartile_mean([[1.0, 2.0, 9.0]]).value == 4.0


def test_the_interval_is_that_of_all_resamples() -> None:
    # two runs 0 and 1: resamples have the mean 0, 1/2 or 1 with chances 1/4, 1/2, 1/4
    assert interquartile_mean([[0.0, 1.0]]) == (0.5, 0.0, 1.0)


def test_the_interval_leaves_out_two_and_a_half_percent_at_either_end() -> None:
    # of 27 resamples one has the mean 0 and one 10: a chance of 3.7 % each, more than 2.5 and less than 5
    assert interquartile_mean([[0.0, 1.0, 10.0]])[1:] == (0.0, 10.0)
    # two of five runs win: resamples win all five with a chance of 0.4^5 = 1.0 %, more than 0.5 and less than 2.5
    assert probability_of_improvement([[1.0, 2.0, 3.0, 8.0, 9.0]], [[5.0, 5.0]]) == (0.4, 0.0, 0.8)


def test_runs_are_resampled_within_their_task() -> None:
    # both tasks are constant: no resample can mix them, and the interval has no width
    assert interquartile_mean([[0.0, 0.0], [10.0, 10.0]]) == (5.0, 5.0, 5.0)


def test_an_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    generator = np.random.default_rng(0)
    intervals = [interquartile_mean([generator.normal(3.0, 1.0, 20)]) for _ in range(40)]
    assert sum(low <= 3.0 <= high for _, low, high in intervals) >= 34


def test_the_same_scores_have_the_same_interval() -> None:
    scores = [np.random.default_rng(1).normal(size=5), np.random.default_rng(2).normal(size=3)]
    assert interquartile_mean(scores) == interquartile_mean(scores)


def test_one_run_has_no_interval() -> None:
    value, low, high = interquartile_mean([[7.0]])
    assert value == 7.0
    assert math.isnan(low)
    assert math.isnan(high)
    assert math.isnan(interquartile_mean([[7.0], [1.0, 2.0]]).low)


def test_improvement_counts_won_pairs_and_half_the_ties() -> None:
    # pairs (3, 1), (3, 3), (2, 1), (2, 3): won, tied, won, lost
    assert probability_of_improvement([[3.0, 2.0]], [[1.0, 3.0]]).value == 2.5 / 4
    # over two tasks the mean of their shares
    assert probability_of_improvement([[3.0, 2.0], [0.0]], [[1.0, 3.0], [5.0]]).value == 2.5 / 8


def test_a_method_that_always_wins_is_certain() -> None:
    assert probability_of_improvement([[5.0, 6.0, 7.0]], [[1.0, 2.0]]) == (1.0, 1.0, 1.0)
    assert probability_of_improvement([[1.0, 2.0]], [[5.0, 6.0, 7.0]]) == (0.0, 0.0, 0.0)


def test_improvement_has_an_interval_around_it() -> None:
    value, low, high = probability_of_improvement([[1.0, 3.0, 5.0, 7.0]], [[2.0, 4.0, 6.0, 0.0]])
    assert value == 10 / 16
    assert 0.0 <= low < value < high <= 1.0


def test_no_scores_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one run"):
        interquartile_mean([])
    with pytest.raises(ValueError, match="at least one run"):
        interquartile_mean([[1.0], []])
    with pytest.raises(ValueError, match="2 tasks cannot be compared with 1"):
        probability_of_improvement([[1.0], [2.0]], [[1.0]])


def test_nothing_is_warned_about() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        interquartile_mean([[1.0, 2.0, 3.0]])


def test_a_run_that_has_diverged_is_the_worst_and_leaves_no_interquartile_mean() -> None:
    assert all(math.isnan(number) for number in interquartile_mean([[1.0, math.nan, 2.0, 3.0, 4.0]]))
    assert probability_of_improvement([[1.0, 2.0]], [[math.nan, math.nan]]) == (1.0, 1.0, 1.0)
    assert probability_of_improvement([[math.nan, 3.0]], [[1.0, 2.0]]).value == 0.5
    assert probability_of_improvement([[math.nan]], [[math.nan]]).value == 0.5
