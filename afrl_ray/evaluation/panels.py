"""Figures of studies: rows of panels, each with lines and bands or a heat map, one legend for all of them."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, MaxNLocator
from numpy.typing import NDArray

from afrl_ray.evaluation.plots import dress, line_colours

Numbers = NDArray[np.float64]
_WIDTH, _HEIGHT = 3.4, 2.8
"""Inches of one panel."""
_NARROWEST = 4.8
"""Inches of a figure, so that a single panel has room for its legend below it."""
_LETTERS_PER_INCH = 11
"""Of titles and legends."""
_LEGEND_LETTERS = 6
"""What the line before a name in the legend takes."""
_CELL_WIDTH, _CELL_HEIGHT = 0.42, 0.3
"""Inches that a number in a heat map needs."""
_LEGEND_HEIGHT = 0.22
"""Inches of a row of the legend, and of a line of the title."""


@dataclass(frozen=True)
class Band:
    """A line with its uncertainty; NaN where there is none, as with a single run."""

    x: Numbers  # (n,)
    centre: Numbers  # (n,)
    spread: Numbers  # (n,), half the band's width


@dataclass(frozen=True)
class LinePanel:
    title: str
    x_label: str
    y_label: str
    bands: Mapping[str, Band]
    """By what the legend calls them; the same name has the same colour in all panels."""
    steps: bool = False
    """Whether x is environment steps: then written as 100k, and without markers."""
    probability: bool = False
    """Whether y is a probability: then the axis goes from 0 to 1."""


@dataclass(frozen=True)
class HeatMap:
    title: str
    x_label: str
    y_label: str
    x: Sequence[str]
    y: Sequence[str]
    """Names of columns and rows, the first row at the bottom."""
    values: Numbers  # (len(y), len(x)), NaN where nothing was measured


Panel = LinePanel | HeatMap


def draw_panels(rows: Sequence[Sequence[Panel]], title: str | None = None) -> Figure:
    """One figure; rows may have different numbers of panels. Draws with Agg, beside whatever pyplot does.

    Raises:
        ValueError: there is no panel.
    """
    if not rows or not all(rows):
        raise ValueError("a figure needs at least one panel in every row")
    names = dict.fromkeys(name for row in rows for panel in row for name in getattr(panel, "bands", ()))
    colours = dict(zip(names, line_colours(len(names)), strict=True))
    widest = max(len(row) for row in rows)
    widths = [max(_panel_size(row[column])[0] for row in rows if column < len(row)) for column in range(widest)]
    width = max(sum(widths), _NARROWEST)
    fitting = int(_LETTERS_PER_INCH * width / (max(map(len, names), default=0) + _LEGEND_LETTERS))
    columns = max(1, min(len(names), fitting))
    heading = textwrap.wrap(title or "", round(_LETTERS_PER_INCH * width))
    height = sum(max(_panel_size(panel)[1] for panel in row) for row in rows)
    height += _LEGEND_HEIGHT * (len(heading) + -(-len(names) // columns)) + 0.2
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(len(rows), widest)
    for index, row in enumerate(rows):
        first: Axes | None = None  # the panels of a row are there to be compared: they share their y
        for column, panel in enumerate(row):
            if isinstance(panel, HeatMap):
                axes = figure.add_subplot(grid[index, column])
                _draw_heat_map(axes, panel)
            else:
                axes = figure.add_subplot(grid[index, column], sharey=first)
                first = first or axes
                _draw_lines(axes, panel, colours)
            axes.set_title(panel.title, fontsize=10)
            axes.set_xlabel(panel.x_label, fontsize=10)
            axes.set_ylabel(panel.y_label, fontsize=10)
    if names:
        handles = [Line2D([], [], color=colour, linewidth=2.0, label=name) for name, colour in colours.items()]
        figure.legend(handles=handles, loc="outside lower center", ncols=columns, frameon=False)
    if heading:
        figure.suptitle("\n".join(heading), fontsize=12)
    return figure


def _panel_size(panel: Panel) -> tuple[float, float]:
    """Inches across and down; a heat map has room for all of its numbers and the names beside them."""
    if isinstance(panel, LinePanel):
        return _WIDTH, _HEIGHT
    names = [max(map(len, side), default=0) / _LETTERS_PER_INCH for side in (panel.y, panel.x)]
    across, down = _CELL_WIDTH * len(panel.x) + names[0] + 1.4, _CELL_HEIGHT * len(panel.y) + 1.2
    return max(_WIDTH, across), max(_HEIGHT, down + (names[1] if _is_crowded(panel) else 0.0))


def _is_crowded(panel: HeatMap) -> bool:
    """Whether the names of its columns do not fit side by side."""
    return max(map(len, panel.x), default=0) > _LETTERS_PER_INCH * _CELL_WIDTH


def _draw_lines(axes: Axes, panel: LinePanel, colours: Mapping[str, object]) -> None:
    for name, band in panel.bands.items():
        colour = colours[name]
        marker = None if panel.steps and len(band.x) > 1 else "o"  # a line needs two points to be seen
        axes.plot(band.x, band.centre, color=colour, linewidth=1.6, marker=marker, markersize=4, label=name)
        if np.isfinite(band.spread).any():
            low, high = band.centre - band.spread, band.centre + band.spread
            axes.fill_between(band.x, low, high, color=colour, alpha=0.2, linewidth=0)
    dress(axes)
    if panel.steps:
        axes.set_xlim(left=0)
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        axes.xaxis.set_major_locator(MaxNLocator(5))
    if panel.probability:
        axes.set_ylim(-0.03, 1.03)


def _draw_heat_map(axes: Axes, panel: HeatMap) -> None:
    image = axes.imshow(panel.values, origin="lower", aspect="auto", cmap="Blues")
    axes.set_xticks(range(len(panel.x)), panel.x, fontsize=9)
    if _is_crowded(panel):
        for label in axes.get_xticklabels():
            label.set(rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(panel.y)), panel.y, fontsize=9)
    middle = (float(np.nanmin(panel.values)) + float(np.nanmax(panel.values))) / 2
    for (row, column), value in np.ndenumerate(panel.values):
        if np.isfinite(value):
            colour = "white" if value > middle else "black"
            axes.text(column, row, f"{value:.1f}", ha="center", va="center", color=colour, fontsize=9)
    axes.get_figure().colorbar(image, ax=axes)  # type: ignore[union-attr]
