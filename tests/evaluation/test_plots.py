import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from afrl_ray.evaluation.plots import learning_curves, save_figure


def curves(trials: int = 2) -> pd.DataFrame:
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "trial": f"trial {trial}",
                    "env_steps": [10_000, 5_000, 0],  # out of order on purpose
                    "q": [0.5, 0.25, 0.0],
                    "smoothed_score": [0.8, 0.4, 0.0],
                    "normal": [100.0 + trial, 90.0, 80.0],
                    "random": [70.0, np.nan, 50.0],
                    "adversarial": [60.0, 40.0, 20.0],
                }
            )
            for trial in range(trials)
        ]
    )


def line(figure: Figure, panel: int, label: str) -> tuple[list[float], list[float]]:
    (found,) = [item for item in figure.axes[panel].get_lines() if item.get_label() == label]
    return list(found.get_xdata()), list(found.get_ydata())


def test_every_panel_has_every_trial_s_data() -> None:
    figure = learning_curves(curves())
    assert line(figure, 0, "trial 1") == ([0, 5_000, 10_000], [80.0, 90.0, 101.0])
    assert line(figure, 1, "trial 0") == ([0, 10_000], [50.0, 70.0])  # the missing value is left out
    assert line(figure, 2, "trial 0") == ([0, 5_000, 10_000], [20.0, 40.0, 60.0])
    assert line(figure, 3, "trial 0") == ([0, 5_000, 10_000], [0.0, 0.25, 0.5])
    assert line(figure, 4, "trial 0") == ([0, 5_000, 10_000], [0.0, 0.4, 0.8])


def test_the_offline_level_is_dashed_in_its_own_panel() -> None:
    figure = learning_curves(curves(), {"adversarial": 19.0})
    assert line(figure, 2, "offline")[1] == [19.0, 19.0]
    assert [item.get_linestyle() for item in figure.axes[2].get_lines()] == ["-", "-", "--"]
    assert len(figure.axes[0].get_lines()) == 2


def test_axes_and_legend_say_what_they_show() -> None:
    figure = learning_curves(curves(), {"normal": 100.0}, title="Hopper", score_label="Return")
    assert [axes.get_xlabel() for axes in figure.axes[:5]] == ["Environment steps"] * 5
    assert [figure.axes[panel].get_ylabel() for panel in (0, 3, 4)] == [
        "Return",
        "Perturbation probability q",
        "Smoothed score S̄",
    ]
    legend = figure.axes[5].get_legend()
    assert legend is not None
    assert [entry.get_text() for entry in legend.get_texts()] == ["trial 0", "trial 1", "offline"]


@pytest.mark.parametrize("trials", [7, 8, 40])
def test_trials_have_different_colours(trials: int) -> None:
    figure = learning_curves(curves(trials))
    assert len({str(item.get_color()) for item in figure.axes[0].get_lines()}) == trials


def test_absent_conditions_have_no_panel() -> None:
    figure = learning_curves(curves().drop(columns=["random", "adversarial"]))
    assert [axes.get_title() for axes in figure.axes] == ["normal condition", "", "", ""]


def test_nothing_to_draw_is_refused() -> None:
    with pytest.raises(ValueError, match="no trials"):
        learning_curves(curves().iloc[:0])


def test_a_png_is_written_without_pyplot(tmp_path: Path) -> None:
    save_figure(learning_curves(curves(1)), tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()
