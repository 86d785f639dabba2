import itertools
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection

from afrl_ray.evaluation.panels import Band, HeatMap, LinePanel, draw_panels
from afrl_ray.evaluation.plots import save_figure


def line_band(*centre: float, spread: float = 1.0) -> Band:
    values = np.array(centre)
    return Band(np.arange(len(values)) * 10.0, values, np.full(len(values), spread))


def panel(title: str, **bands: Band) -> LinePanel:
    return LinePanel(title, "Environment steps", "Score", bands, steps=True)


def drawn_lines(axes: Axes) -> dict[str, tuple[list[float], list[float]]]:
    return {str(line.get_label()): (list(line.get_xdata()), list(line.get_ydata())) for line in axes.get_lines()}


def test_every_panel_shows_its_lines_and_bands() -> None:
    figure = draw_panels([[panel("one", a=line_band(1, 3), b=line_band(5, 7)), panel("two", a=line_band(2, 4))]])
    one, two = figure.axes
    assert drawn_lines(one) == {"a": ([0, 10], [1, 3]), "b": ([0, 10], [5, 7])}
    assert drawn_lines(two) == {"a": ([0, 10], [2, 4])}
    assert [axes.get_title() for axes in (one, two)] == ["one", "two"]
    assert one.get_ylim() == two.get_ylim()
    assert (one.get_xlabel(), one.get_ylabel()) == ("Environment steps", "Score")
    filled = next(item for item in one.collections if isinstance(item, PolyCollection))
    corners = {tuple(point) for point in filled.get_paths()[0].vertices}
    assert {(0.0, 0.0), (0.0, 2.0), (10.0, 2.0), (10.0, 4.0)} <= corners  # centre ± spread


def test_a_name_has_one_colour_everywhere_and_one_place_in_the_legend() -> None:
    figure = draw_panels([[panel("one", a=line_band(1, 2), b=line_band(1, 2))], [panel("two", b=line_band(3, 4))]])
    colours = [{line.get_label(): line.get_color() for line in axes.get_lines()} for axes in figure.axes]
    assert colours[0]["b"] == colours[1]["b"] != colours[0]["a"]
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["a", "b"]


def test_a_single_run_has_a_line_and_no_band() -> None:
    figure = draw_panels([[panel("one", a=line_band(1, 2, spread=np.nan))]])
    assert len(figure.axes[0].get_lines()) == 1
    assert not figure.axes[0].collections


def test_probabilities_are_drawn_from_0_to_1() -> None:
    q = LinePanel("q", "Environment steps", "q", {"a": line_band(0.1, 0.2)}, steps=True, probability=True)
    assert draw_panels([[q]]).axes[0].get_ylim() == (-0.03, 1.03)


def test_a_heat_map_shows_and_writes_its_values() -> None:
    values = np.array([[10.0, 20.0], [30.0, np.nan]])
    figure = draw_panels([[HeatMap("mean", "β", "κ", ["0.1", "0.9"], ["0.3", "0.6"], values)]])
    axes = figure.axes[0]
    (image,) = axes.get_images()
    np.testing.assert_array_equal(np.ma.filled(image.get_array(), np.nan), values)
    assert [text.get_text() for text in axes.texts] == ["10.0", "20.0", "30.0"]
    assert [text.get_text() for text in axes.get_xticklabels()] == ["0.1", "0.9"]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["0.3", "0.6"]
    assert not figure.legends


def test_numbers_and_names_of_a_large_heat_map_do_not_touch() -> None:
    names = [*(f"condition {index}" for index in range(9)), "observation noise"]
    figure = draw_panels([[HeatMap("all", "tested", "trained", names, names[:5], np.full((5, 10), -123.4))]])
    figure.canvas.draw()
    axes = figure.axes[0]
    numbers = [text.get_window_extent() for text in axes.texts]
    assert len(numbers) == 50
    assert not any(one.overlaps(other) for one, other in itertools.combinations(numbers, 2))
    assert {text.get_rotation() for text in axes.get_xticklabels()} == {40.0}


def test_a_single_panel_has_room_for_a_long_legend() -> None:
    names = ("DE", "DE without racing", "CMA", "PSO", "NGOpt", "RandomSearch")
    figure = draw_panels([[panel("one", **{name: line_band(1, 2) for name in names})]], title="Lowest return " * 6)
    figure.canvas.draw()
    assert figure.axes[0].get_window_extent().height > 0.4 * figure.get_figheight() * figure.dpi


def test_rows_may_mix_lines_and_heat_maps() -> None:
    heat = HeatMap("mean", "β", "κ", ["1"], ["2"], np.array([[5.0]]))
    figure = draw_panels([[panel("one", a=line_band(1)), heat], [panel("two", a=line_band(2))]], title="Hopper")
    assert [axes.get_title() for axes in figure.axes if axes.get_title()] == ["one", "mean", "two"]
    assert figure.get_suptitle() == "Hopper"


def test_nothing_to_draw_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one panel"):
        draw_panels([])
    with pytest.raises(ValueError, match="at least one panel"):
        draw_panels([[panel("one", a=line_band(1))], []])


def test_svg_and_png_are_written_and_svg_is_the_same_each_time(tmp_path: Path) -> None:
    for name in ("one", "two"):
        figure = draw_panels([[panel("fine-tuned", a=line_band(1, 2))]])
        save_figure(figure, tmp_path / f"{name}.svg")
        save_figure(figure, tmp_path / f"{name}.png")
    assert (tmp_path / "one.png").read_bytes().startswith(b"\x89PNG")
    assert ">fine-tuned</text>" in (tmp_path / "one.svg").read_text()
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()
