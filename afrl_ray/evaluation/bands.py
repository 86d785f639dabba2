"""From rows of measurements to the lines, bands and cells of figures and tables: means over runs."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from afrl_ray.evaluation.panels import Band
from afrl_ray.evaluation.statistics import group_means


def band(rows: pd.DataFrame, x: str, y: str) -> Band:
    """Mean of `y` over the runs (column `seed`) at each `x`, and its standard error s / √runs.

    A run with several values at one `x` counts with their mean. Rows without a value are left out, and so is an `x`
    that not all runs have: a mean over other runs than before would jump.

    Raises:
        ValueError: no `x` is shared by all runs.
    """
    runs = rows.dropna(subset=[x, y]).pivot_table(index=x, columns="seed", values=y, aggfunc="mean").dropna()
    if runs.empty:
        raise ValueError(f"the runs share no {x} at which {y} was measured")
    spread = runs.std(axis=1, ddof=1) / np.sqrt(runs.shape[1])  # NaN for one run
    return Band(
        runs.index.to_numpy(dtype=np.float64),
        runs.mean(axis=1).to_numpy(dtype=np.float64),
        spread.to_numpy(dtype=np.float64),
    )


def bands(rows: pd.DataFrame, lines: str, x: str, y: str) -> dict[str, Band]:
    """A band for each value of the column `lines`, in the order of their first rows."""
    return {str(name): band(part, x, y) for name, part in rows.groupby(lines, sort=False)}


def cell_means(rows: pd.DataFrame, x: str, y: str, value: str) -> tuple[list[str], list[str], np.ndarray]:
    """Names of the values of `x` and `y` in ascending order, and the mean of `value` in each cell (len(y), len(x)).

    NaN where nothing was measured, or a policy has diverged.
    """
    table = group_means(rows, [y, x], value).unstack().sort_index().sort_index(axis=1)
    return _names(table.columns.tolist()), _names(table.index.tolist()), table.to_numpy(dtype=np.float64)


def _names(values: Sequence[object]) -> list[str]:
    return [f"{value:g}" if isinstance(value, int | float) else str(value) for value in values]
