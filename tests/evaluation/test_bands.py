import numpy as np
import pandas as pd
import pytest

from afrl_ray.evaluation.bands import band, bands, cell_means


def runs() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "arm": ["a"] * 5 + ["b"] * 2,
            "seed": [0, 0, 0, 1, 1, 0, 0],
            "env_steps": [0, 10, 20, 0, 10, 0, 10],
            "score": [1.0, 2.0, 9.0, 3.0, 6.0, 7.0, np.nan],
        }
    )


def test_a_band_is_the_mean_over_runs_and_its_standard_error() -> None:
    rows = runs()
    result = band(rows[rows["arm"] == "a"], "env_steps", "score")
    # at 20 only one of the two runs was measured
    np.testing.assert_array_equal(result.x, [0, 10])
    np.testing.assert_array_equal(result.centre, [2, 4])
    # two runs: s = |a − b| / √2, so the standard error is half of their distance
    np.testing.assert_allclose(result.spread, [1, 2])


def test_one_run_has_no_spread() -> None:
    lines = bands(runs(), "arm", "env_steps", "score")
    assert list(lines) == ["a", "b"]
    np.testing.assert_array_equal(lines["b"].x, [0])  # the row without a value is left out
    assert np.isnan(lines["b"].spread).all()


def test_several_values_of_one_run_count_once() -> None:
    rows = pd.DataFrame({"seed": [0, 0, 1], "q": [0.5, 0.5, 0.5], "score": [0.0, 2.0, 3.0]})
    assert band(rows, "q", "score").centre.tolist() == [2.0]


def test_runs_that_share_no_step_are_refused() -> None:
    rows = pd.DataFrame({"seed": [0, 1], "env_steps": [0, 10], "score": [1.0, 1.0]})
    with pytest.raises(ValueError, match="share no env_steps"):
        band(rows, "env_steps", "score")


def test_cells_are_means_in_ascending_order() -> None:
    rows = pd.DataFrame(
        {"beta": [0.9, 0.1, 0.1, 0.9], "kappa": [0.3, 0.3, 0.3, 0.6], "score": [10.0, 20.0, 40.0, 50.0]}
    )
    x, y, values = cell_means(rows, "beta", "kappa", "score")
    assert (x, y) == (["0.1", "0.9"], ["0.3", "0.6"])
    np.testing.assert_array_equal(values, [[30, 10], [np.nan, 50]])


def test_a_cell_with_a_policy_that_has_diverged_has_no_mean() -> None:
    rows = pd.DataFrame({"x": [1, 1, 2], "y": [1, 1, 1], "value": [5.0, np.nan, 7.0]})
    np.testing.assert_array_equal(cell_means(rows, "x", "y", "value")[2], [[np.nan, 7.0]])
