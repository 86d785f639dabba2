import math

import pandas as pd
import pytest

from afrl_ray.evaluation.study_tables import improvement_cells, laid_out, score_cells
from afrl_ray.evaluation.typesetting import with_error


def scores(**arms: dict[str, list[list[float]]]) -> pd.DataFrame:
    """Rows of `evaluate` from {arm: {condition: [[episodes of run 0], [episodes of run 1], …]}}."""
    return pd.DataFrame(
        [
            {"robot": "hopper", "arm": arm, "condition": condition, "seed": seed, "episode": episode}
            | {"return": score, "normalised_score": score}
            for arm, conditions in arms.items()
            for condition, runs in conditions.items()
            for seed, run in enumerate(runs)
            for episode, score in enumerate(run)
        ]
    )


ROWS = scores(
    offline={"normal": [[100.0, 100.0], [80.0, 80.0]], "adversarial": [[10.0, 20.0], [0.0, 10.0]]},
    tuned={"normal": [[90.0, 90.0], [90.0, 90.0]], "adversarial": [[80.0, 60.0], [5.0, 5.0]]},
)


def cell(cells: pd.DataFrame, arm: str, condition: str) -> pd.Series:
    (row,) = cells[(cells["arm"] == arm) & (cells["condition"] == condition)].to_dict("records")
    return pd.Series(row)


def test_cells_pool_episodes_as_the_paper_and_take_the_iqm_over_runs() -> None:
    cells = score_cells(ROWS, ["robot", "arm"])
    found = cell(cells, "offline", "adversarial")
    # episodes 10, 20, 0, 10: mean 10, s = √(200/3), s / √4 = 4.0825
    assert found["mean"] == 10
    assert found["se"] == pytest.approx(4.08248)
    assert (found["episodes"], found["runs"]) == (4, 2)
    # runs 15 and 5
    assert (found["iqm"], found["iqm_low"], found["iqm_high"]) == (10, 5, 15)
    assert found["robot"] == "hopper"


def test_the_mean_averages_each_episode_over_the_conditions_first() -> None:
    found = cell(score_cells(ROWS, ["robot", "arm"]), "offline", "mean")
    # episodes (100 + 10) / 2, (100 + 20) / 2, (80 + 0) / 2, (80 + 10) / 2
    assert found["mean"] == 50
    assert found["episodes"] == 4
    assert (found["iqm_low"], found["iqm_high"]) == (42.5, 57.5)


def test_one_condition_has_no_mean() -> None:
    cells = score_cells(ROWS[ROWS["condition"] == "normal"], ["robot", "arm"])
    assert list(cells["condition"]) == ["normal", "normal"]


def test_improvement_compares_runs_within_robots() -> None:
    cells = improvement_cells(ROWS, "arm", "offline")
    found = cell(cells, "tuned", "adversarial")
    # runs 70 and 5 against 15 and 5: won, won, lost, tied
    assert found["probability"] == 2.5 / 4
    assert 0 <= found["low"] <= found["probability"] <= found["high"] <= 1
    assert cell(cells, "tuned", "normal")["probability"] == 0.5
    assert "offline" not in set(cells["arm"])


def test_improvement_averages_over_robots() -> None:
    other = ROWS.assign(robot="ant", normalised_score=-ROWS["normalised_score"])
    found = cell(improvement_cells(pd.concat([ROWS, other]), "arm", "offline"), "tuned", "adversarial")
    assert found["probability"] == (2.5 + 1.5) / 8


def test_a_baseline_nobody_measured_is_refused() -> None:
    with pytest.raises(ValueError, match="no scores of 'online'"):
        improvement_cells(ROWS, "arm", "online")


def test_layout_has_the_paper_s_order_and_gaps() -> None:
    rows = pd.concat([ROWS, scores(tuned={"pgd": [[1.0]]})])
    cells = score_cells(rows, ["arm"])
    table = laid_out(cells, ["arm"], {label: with_error(c["mean"], c["se"]) for label, c in cells.iterrows()})
    assert list(table.columns) == ["arm", "normal", "adversarial", "pgd", "mean"]
    assert table["arm"].tolist() == ["offline", "tuned"]
    assert table["adversarial"].tolist() == ["10.0 ± 4.1", "37.5 ± 19.2"]
    assert table["pgd"].tolist() == ["–", "1.0"]


def test_a_score_that_is_not_a_number_spoils_the_means_that_it_is_part_of() -> None:
    rows = scores(
        offline={"normal": [[10.0, 10.0], [20.0, 20.0]], "adversarial": [[5.0, 5.0], [5.0, 5.0]]},
        tuned={"normal": [[30.0, 30.0], [40.0, 40.0]], "adversarial": [[math.nan, 6.0], [7.0, 7.0]]},
    )
    cells = score_cells(rows, ["arm"])
    assert cell(cells, "tuned", "normal")["iqm"] == 35.0
    for condition in ("adversarial", "mean"):
        found = cell(cells, "tuned", condition)
        assert math.isnan(found["mean"])
        assert math.isnan(found["iqm"])
    # one of two runs is worse than both of the baseline's, the other better
    assert cell(improvement_cells(rows, "arm", "offline"), "tuned", "adversarial")["probability"] == 0.5
