"""The figures of studies, each a row of panels for every robot."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from afrl_ray.config import study as kinds
from afrl_ray.evaluation.bands import bands, cell_means
from afrl_ray.evaluation.panels import HeatMap, LinePanel, Panel
from afrl_ray.evaluation.statistics import group_means
from afrl_ray.studies.sheet import Section, Sheet

_STEPS = "Environment steps"
_BANDS = "mean and standard error over runs"


def learning_curves(sheet: Sheet, _result: kinds.LearningCurves) -> list[Section]:
    curves = sheet.findings.curves
    conditions = [name for name in sheet.study.plain_conditions if name in curves]
    rows: list[list[Panel]] = [
        [
            LinePanel(
                f"{prefix}{condition}",
                _STEPS,
                sheet.score_label if index == 0 else "",
                bands(part.dropna(subset=[condition]), "arm", "env_steps", condition),
                steps=True,
            )
            for index, condition in enumerate(conditions)
        ]
        for prefix, part in sheet.by_robot(curves)
    ]
    return [sheet.draw("learning_curves", f"Validation scores, {_BANDS}", rows)]


def q_curves(sheet: Sheet, result: kinds.QCurves) -> list[Section]:
    curves, rows = sheet.findings.curves, []
    for prefix, part in sheet.by_robot(curves):
        groups = [("", part)]
        if result.panels is not None:
            name = _symbol(result.panels)
            groups = [(f"{name} = {_shown(value)}", group) for value, group in part.groupby(result.panels)]
        lines = _line_names(curves, list(sheet.study.grid), result.panels)
        rows.append(
            [
                LinePanel(
                    (prefix + title).rstrip(", "),
                    _STEPS,
                    "q" if index == 0 else "",
                    bands(group.assign(line=lines[group.index]), "line", "env_steps", "q"),
                    steps=True,
                    probability=True,
                )
                for index, (title, group) in enumerate(groups)
            ]
        )
    file = "q" if result.panels is None else f"q_by_{_short(result.panels)}"
    return [sheet.draw(file, f"Perturbation probability q, {_BANDS}", rows)]


def scores_against(sheet: Sheet, result: kinds.ScoresAgainst) -> list[Section]:
    scores, symbol = sheet.final.dropna(subset=[result.setting]), _symbol(result.setting)
    rows: list[list[Panel]] = [
        [LinePanel(prefix.rstrip(", "), symbol, sheet.score_label, bands(part, "condition", result.setting, "score"))]
        for prefix, part in sheet.by_robot(scores)
    ]
    return [sheet.draw(f"scores_against_{_short(result.setting)}", f"Final scores against {symbol}, {_BANDS}", rows)]


def score_grid(sheet: Sheet, result: kinds.ScoreGrid) -> list[Section]:
    scores, x, lines = sheet.final.dropna(subset=[result.x]), _symbol(result.x), _symbol(result.lines)
    rows: list[list[Panel]] = []
    for prefix, part in sheet.by_robot(scores):
        part = part.assign(line=[f"{lines} = {value:g}" for value in part[result.lines]])
        panels: list[Panel] = [
            LinePanel(
                f"{prefix}{condition}",
                x,
                sheet.score_label if index == 0 else "",
                bands(part[part["condition"] == condition], "line", result.x, "score"),
            )
            for index, condition in enumerate(sheet.study.condition_names)
        ]
        heat = HeatMap(f"{prefix}mean of the conditions", x, lines, *cell_means(part, result.x, result.lines, "score"))
        rows.append([*panels, heat])
    return [sheet.draw("grid", f"Final scores over {lines} and {x}, {_BANDS}", rows)]


def matrix(sheet: Sheet, _result: kinds.Matrix) -> list[Section]:
    arms, conditions = list(dict.fromkeys(sheet.final["arm"])), list(sheet.study.condition_names)
    panels: list[Panel] = []
    for prefix, part in sheet.by_robot(sheet.final):
        means = group_means(part, ["arm", "condition"], "score").unstack()
        values = means.reindex(index=arms[::-1], columns=conditions).to_numpy(dtype=np.float64)
        title = f"{prefix}mean score".replace("mean score", sheet.score_label.lower())
        panels.append(HeatMap(title, "tested under", "trained under", conditions, arms[::-1], values))
    return [sheet.draw("matrix", "Conditions of training and of testing", [panels])]


def _short(setting: str) -> str:
    """The last part of a dotted setting."""
    return setting.rpartition(".")[2]


def _symbol(setting: str) -> str:
    """What figures call it: as the paper where that has a letter, else in words."""
    name = _short(setting)
    return {"beta": "β", "kappa": "κ", "q_max": "q_max"}.get(name, name.replace("_", " "))


def _shown(value: object) -> str:
    """A value of the grid."""
    return f"{value:g}" if isinstance(value, int | float) and not isinstance(value, bool) else str(value)


def _line_names(curves: pd.DataFrame, grid: Sequence[str], panels: str | None) -> pd.Series:
    """What each row's line is called: its arm, or the grid's values that the panels do not show."""
    others = [setting for setting in grid if setting != panels]
    if panels is None or not others:
        return curves["arm"]
    texts = [[f"{_symbol(name)} = {_shown(value)}" for value in curves[name]] for name in others]
    return pd.Series([", ".join(parts) for parts in zip(*texts, strict=True)], index=curves.index)
