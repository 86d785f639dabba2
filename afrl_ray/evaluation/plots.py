"""Learning curves as a paper prints them."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator

from afrl_ray.evaluation.conditions import CONDITIONS
from afrl_ray.storage import replacing

# Okabe and Ito's colours, told apart by colour-blind readers; their yellow is too pale for lines on white.
_PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_OFFLINE_COLOUR = "#666666"
_LEGEND_ROWS = 14
"""Lines of text that fit into the legend's panel."""


def learning_curves(
    curves: pd.DataFrame,
    offline: Mapping[str, float] | None = None,
    *,
    title: str | None = None,
    score_label: str = "Normalised score (expert = 100)",
) -> Figure:
    """Scores per condition above, q and the smoothed score below, against environment steps; one colour per trial.

    `curves` has columns trial, env_steps, q, smoothed_score, normal, random, adversarial; conditions that are not
    there have no panel, and rows without a value are left out of that curve. `offline` holds the pretrained policy's
    score per condition, drawn as a dashed line. Draws with Agg, beside whatever pyplot does.

    Raises:
        ValueError: `curves` has no trials, or none of the conditions.
    """
    conditions = [condition for condition in CONDITIONS if condition in curves]
    trials = list(dict.fromkeys(curves["trial"]))
    if not trials or not conditions:
        raise ValueError(f"no trials or no conditions to draw: {len(curves)} rows, columns {list(curves)}")
    colours = line_colours(len(trials))
    figure = Figure(figsize=(10.0, 6.0), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(2, 6)
    width = 6 // len(conditions)
    last_step = float(curves["env_steps"].max())

    score_axes: list[Axes] = []
    for index, condition in enumerate(conditions):
        cells = grid[0, index * width : (index + 1) * width]
        axes = figure.add_subplot(cells, sharey=score_axes[0] if score_axes else None)
        score_axes.append(axes)
        _draw(axes, curves, trials, colours, condition, last_step)
        if offline is not None and condition in offline:
            axes.axhline(offline[condition], color=_OFFLINE_COLOUR, linestyle="--", linewidth=1.4, label="offline")
        axes.set_title(f"{condition} condition", fontsize=11)
        axes.tick_params(labelleft=index == 0)
    score_axes[0].set_ylabel(score_label, fontsize=11)
    if score_axes[0].get_ylim()[0] > 0:
        score_axes[0].set_ylim(bottom=0)

    below = ((grid[1, 0:2], "q", "Perturbation probability q"), (grid[1, 2:4], "smoothed_score", "Smoothed score S̄"))
    for cells, column, label in below:
        axes = figure.add_subplot(cells)
        _draw(axes, curves, trials, colours, column, last_step)
        axes.set_ylabel(label, fontsize=11)
        if column == "q":
            axes.set_ylim(-0.03, 1.03)

    _legend(figure.add_subplot(grid[1, 4:6]), score_axes)
    if title:
        figure.suptitle(title, fontsize=12)
    return figure


def save_figure(figure: Figure, path: Path) -> None:
    """Write `figure` to `path`, as its suffix says: .png, or .svg with text as text and without a date."""
    kind = path.suffix.removeprefix(".") or "png"
    with replacing(path) as temporary, matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "afrl"}):
        figure.savefig(temporary, format=kind, dpi=160, metadata={"Date": None} if kind == "svg" else None)


def line_colours(count: int) -> Sequence[Any]:
    """That many colours that colour-blind readers can tell apart."""
    if count <= len(_PALETTE):
        return _PALETTE[:count]
    ramp = matplotlib.colormaps["viridis"]  # ordered and colour-blind safe; its last tenth is too pale on white
    return [ramp(0.9 * index / (count - 1)) for index in range(count)]


def _draw(
    axes: Axes, curves: pd.DataFrame, trials: Sequence[Any], colours: Sequence[Any], column: str, last_step: float
) -> None:
    for trial, colour in zip(trials, colours, strict=True):
        rows = curves.loc[curves["trial"] == trial, ["env_steps", column]].dropna().sort_values("env_steps")
        marker = "o" if len(rows) == 1 else None  # a line needs two points to be seen
        axes.plot(
            rows["env_steps"].to_numpy(),
            rows[column].to_numpy(),
            color=colour,
            linewidth=1.6 if len(trials) <= len(_PALETTE) else 0.9,
            marker=marker,
            label=str(trial),
        )
    axes.set_xlim(0, max(last_step, 1.0))
    axes.set_xlabel("Environment steps", fontsize=11)
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.xaxis.set_major_locator(MaxNLocator(5))
    dress(axes)


def dress(axes: Axes) -> None:
    """The look that all line plots share."""
    axes.tick_params(labelsize=10)
    axes.grid(color="#DDDDDD", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _legend(panel: Axes, score_axes: Sequence[Axes]) -> None:
    entries = {
        label: handle for axes in score_axes for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    panel.set_axis_off()
    columns = math.ceil(len(entries) / _LEGEND_ROWS)
    panel.legend(
        list(entries.values()),
        list(entries),
        loc="upper left",
        ncols=columns,
        fontsize=10 if columns == 1 else 7,
        frameon=False,
    )
