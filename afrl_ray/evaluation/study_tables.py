"""Scores of many methods as tables: in numbers, and in the order of the paper."""

from collections.abc import Hashable, Mapping, Sequence

import pandas as pd

from afrl_ray.evaluation.conditions import CONDITIONS
from afrl_ray.evaluation.run_statistics import interquartile_mean, probability_of_improvement
from afrl_ray.evaluation.statistics import MEAN, Estimate, estimate, group_means, score_column


def score_cells(scores: pd.DataFrame, by: Sequence[str], averaged: Sequence[str] = CONDITIONS) -> pd.DataFrame:
    """One row per group of the columns `by` and condition, from rows of `evaluate`; `mean` is one more condition.

    Columns, besides `by` and condition: mean, se and episodes over all episodes of all runs, as the paper reports;
    runs, and over the runs' means iqm with the ends iqm_low and iqm_high of its 95 % interval, for which the runs of
    each robot are resampled by themselves. The `mean` of a group averages each episode over those of `averaged` that
    the group has; a group with only one of them has none.
    """
    column = score_column(scores)
    rows = []
    for key, group in scores.groupby(list(by), sort=False):
        parts = {str(name): part for name, part in group.groupby("condition", sort=False)}
        inside = group[group["condition"].isin(list(averaged))]
        if inside["condition"].nunique() > 1:
            parts[MEAN] = group_means(inside, ["robot", "seed", "episode"], column).reset_index()
        for condition, part in parts.items():
            run_means = group_means(part, ["robot", "seed"], column)
            iqm = interquartile_mean([task.to_numpy() for _, task in run_means.groupby("robot", sort=False)])
            whole: Estimate = estimate(part[column])
            rows.append(
                {
                    **dict(zip(by, key, strict=True)),
                    "condition": condition,
                    "mean": whole["mean"],
                    "se": whole["se"],
                    "episodes": whole["n"],
                    "runs": len(run_means),
                    "iqm": iqm.value,
                    "iqm_low": iqm.low,
                    "iqm_high": iqm.high,
                }
            )
    return pd.DataFrame(rows)


def improvement_cells(scores: pd.DataFrame, method: str, baseline: str, task: str = "robot") -> pd.DataFrame:
    """P(a run of `baseline` scores less than a run of X) for every other value X of the column `method`.

    One row per X and condition: probability, and the ends low and high of its 95 % interval. Every value of `task` is
    one task of the comparison.

    Raises:
        ValueError: nothing is called `baseline`.
    """
    column = score_column(scores)
    runs = group_means(scores, [method, "condition", task, "seed"], column).reset_index()
    if not (runs[method] == baseline).any():
        raise ValueError(f"there are no scores of {baseline!r} to compare with")

    def tasks(name: object, condition: object) -> dict[object, list[float]]:
        found = runs[(runs[method] == name) & (runs["condition"] == condition)]
        return {key: part[column].tolist() for key, part in found.groupby(task, sort=False)}

    rows = []
    for name, condition in runs[[method, "condition"]].drop_duplicates().itertuples(index=False):
        ours, theirs = tasks(name, condition), tasks(baseline, condition)
        shared = [key for key in ours if key in theirs]
        if name == baseline or not shared:
            continue
        result = probability_of_improvement([ours[key] for key in shared], [theirs[key] for key in shared])
        rows.append(
            {
                method: name,
                "condition": condition,
                "probability": result.value,
                "low": result.low,
                "high": result.high,
            }
        )
    return pd.DataFrame(rows)


def laid_out(cells: pd.DataFrame, rows: Sequence[str], text: Mapping[Hashable, str]) -> pd.DataFrame:
    """The text of every cell, by the columns `rows` down and by condition across, – where there is none.

    `text` has the text of a row of `cells` at that row's label. Conditions stand in the paper's order, then others,
    then their mean.
    """
    present = list(dict.fromkeys(cells["condition"]))
    others = [name for name in present if name not in (*CONDITIONS, MEAN)]
    columns = [name for name in (*CONDITIONS, *others, MEAN) if name in present]
    entries: dict[tuple[str, ...], dict[str, str]] = {}
    for label, cell in cells.iterrows():
        key = tuple(str(cell[name]) for name in rows)
        entries.setdefault(key, {})[cell["condition"]] = text[label]
    lines = [[*key, *(found.get(name, "–") for name in columns)] for key, found in entries.items()]
    return pd.DataFrame(lines, columns=[*rows, *columns])
