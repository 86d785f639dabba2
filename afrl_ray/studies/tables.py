"""The tables of studies: scores of arms under conditions, and how fast they converged."""

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from afrl_ray.config import study as kinds
from afrl_ray.curriculum.schedules import mean_q
from afrl_ray.evaluation.convergence import final_score, steps_to_converge
from afrl_ray.evaluation.run_statistics import Interval
from afrl_ray.evaluation.statistics import group_means, score_column
from afrl_ray.evaluation.study_tables import improvement_cells, laid_out, score_cells
from afrl_ray.evaluation.typesetting import latex, markdown, with_error, with_interval
from afrl_ray.studies.sheet import Section, Sheet

MATCHED_WITHIN = 0.01
"""How far from the other arm's mean q one may be that was matched to it."""
_CHOSEN = {"final": "Policies at the end of their training", "best": "Policies chosen by validation"}
_RUNS_TO_TRIM = 4
"""With fewer there is nothing beyond the middle half."""
_FEW_RUNS = "\nFewer than four runs: a bootstrap of so few shows little more than their range.\n"
_FEW_RUNS_TO_TRIM = "\nFewer than four runs: this is their plain mean, and the intervals are little more than ranges.\n"


@dataclass(frozen=True)
class _ScoreTable:
    """One of the tables of `score_table`."""

    title: str
    cells: pd.DataFrame
    rows: list[str]
    """Columns of `cells` that say what a row is of."""
    text: Mapping[Hashable, str]
    """What to write, at the label of each row of `cells`."""
    note: str = ""

    @cached_property
    def table(self) -> pd.DataFrame:
        return laid_out(self.cells, self.rows, self.text)


def score_table(sheet: Sheet, result: kinds.ScoreTable) -> list[Section]:
    """Of final policies, as the paper, and of those that validation chose; of several robots also over all of them."""
    tables = [*_scores(sheet), *(_improvement(sheet, result.baseline) if result.baseline is not None else [])]
    sections = [Section(one.title, markdown(one.table, len(one.rows)) + one.note) for one in tables]
    texts = [latex(one.table, _caption(sheet, one.title, one.note), len(one.rows)) for one in tables]
    sheet.write_text("table.tex", "\n".join(texts))
    sheet.write_text("table.md", "\n".join(f"{section.title}\n\n{section.text}" for section in sections))
    return sections


def _scores(sheet: Sheet) -> Iterator[_ScoreTable]:
    scores, conditions = sheet.findings.scores, sheet.study.condition_names
    cells = score_cells(scores, ["policy", "robot", "arm", "step"], conditions)
    sheet.write_table("table", cells)
    note = _FEW_RUNS_TO_TRIM * _are_few(scores, ["robot", "arm"])
    note_on_all = _FEW_RUNS_TO_TRIM * _are_few(scores, ["arm"])
    comparable = score_column(scores) != "return" and scores["robot"].nunique() > 1
    pooled = score_cells(scores, ["policy", "arm", "step"], conditions) if comparable else None
    for kind, whose in _CHOSEN.items():
        part = _with_steps(cells[cells["policy"] == kind])
        rows = [name for name in ("robot", "arm", "step") if name == "arm" or part[name].nunique() > 1]
        rows = [name for name in rows if name != "step" or sheet.budget.read_at]
        errors = {label: with_error(cell["mean"], cell["se"]) for label, cell in part.iterrows()}
        yield _ScoreTable(f"{whose}: mean ± standard error over all episodes", part, rows, errors)
        middle = f"{whose}: interquartile mean over"
        yield _ScoreTable(f"{middle} runs, 95 % interval", part, rows, _iqms(part), note)
        if pooled is not None:
            part, rows = _with_steps(pooled[pooled["policy"] == kind]), [name for name in rows if name != "robot"]
            yield _ScoreTable(f"{middle} the runs of all robots, 95 % interval", part, rows, _iqms(part), note_on_all)


def _improvement(sheet: Sheet, baseline: str) -> Iterator[_ScoreTable]:
    cells = improvement_cells(sheet.final, "arm", baseline)
    sheet.write_table("improvement", cells)
    text = {
        label: with_interval(Interval(cell["probability"], cell["low"], cell["high"]), digits=2)
        for label, cell in cells.iterrows()
    }
    title = f"{_CHOSEN['final']}: probability that a run scores more than one of {baseline}, 95 % interval"
    yield _ScoreTable(title, cells, ["arm"], text, _FEW_RUNS * _are_few(sheet.findings.scores, ["arm"]))


def _are_few(scores: pd.DataFrame, by: list[str]) -> bool:
    """Whether there is a group that has too few runs, a robot and a seed each."""
    runs = scores.drop_duplicates([*by, "robot", "seed"]).groupby(by).size()
    return bool(runs.min() < _RUNS_TO_TRIM)


def _with_steps(cells: pd.DataFrame) -> pd.DataFrame:
    return cells.assign(step=cells["step"].map(lambda step: f"{step:,}" if step else "–"))


def _iqms(cells: pd.DataFrame) -> dict[Hashable, str]:
    return {
        label: with_interval(Interval(cell["iqm"], cell["iqm_low"], cell["iqm_high"]))
        for label, cell in cells.iterrows()
    }


def against_data_table(sheet: Sheet, _result: kinds.AgainstData) -> list[Section]:
    """Of final policies, run by run, since the data are another run's too."""
    scores = sheet.final[sheet.final["condition"] == "normal"]
    runs = scores.groupby(["robot", "arm", "seed"], sort=False)["data"].first().to_frame()
    runs.insert(0, "score", group_means(scores, ["robot", "arm", "seed"], "score"))
    cells = runs.reset_index().assign(difference=lambda run: run["score"] - run["data"])
    sheet.write_table("against_data", cells)
    lines = [
        {"robot": robot, "arm": arm}
        | {"data": f"{part['data'].mean():.1f}", "score": f"{part['score'].mean():.1f}"}
        | {"difference": f"{part['difference'].mean():+.1f}"}
        | {"of each run": ", ".join(f"{value:+.1f}" for value in part["difference"])}
        for (robot, arm), part in cells.groupby(["robot", "arm"], sort=False)
    ]
    title = "Without faults, against the average episode of the data that the policy learned from"
    return [_written(sheet, "against_data", title, pd.DataFrame(lines), numbers=4)]


def convergence_table(sheet: Sheet, result: kinds.ConvergenceTable) -> list[Section]:
    rows = []
    for (robot, seed), runs in sheet.findings.curves.groupby(["robot", "seed"], sort=False):
        by_arm = {arm: curve.sort_values("env_steps") for arm, curve in runs.groupby("arm", sort=False)}
        common = final_score(by_arm[result.reference][result.condition])
        for arm, curve in by_arm.items():
            steps, scores = curve["env_steps"], curve[result.condition]
            rows.append(
                {
                    "robot": robot,
                    "arm": arm,
                    "seed": seed,
                    "final": final_score(scores),
                    "steps_to_own": steps_to_converge(steps, scores),
                    "steps_to_reference": steps_to_converge(steps, scores, None if arm == result.reference else common),
                }
            )
    cells = pd.DataFrame(rows)
    sheet.write_table("convergence", cells)
    names = {
        "final": f"final {result.condition} score",
        "steps_to_own": "steps to 90 % of its own",
        "steps_to_reference": f"steps to 90 % of that of {result.reference}",
    }
    lines = []
    for (robot, arm), part in cells.groupby(["robot", "arm"], sort=False):
        lines.append(
            {
                "robot": robot,
                "arm": arm,
                names["final"]: f"{part['final'].mean():.1f}",
                names["steps_to_own"]: _steps(part["steps_to_own"]),
                names["steps_to_reference"]: _steps(part["steps_to_reference"]),
            }
        )
    title = (
        "Convergence: final score, mean over runs, and steps, median over runs (each run); from validation scores "
        "smoothed over five evaluations"
    )
    return [_written(sheet, "convergence", title, pd.DataFrame(lines), numbers=len(names))]


def mean_q_table(sheet: Sheet, _result: kinds.MeanQTable) -> list[Section]:
    """Every training's; marked where it is further than `MATCHED_WITHIN` from what it was to be matched to."""
    runs = dict(iter(sheet.findings.curves.groupby(["robot", "seed", "arm"], sort=False)))
    means = {key: mean_q(run["env_steps"].tolist(), run["q"].tolist()) for key, run in runs.items()}
    cells = pd.DataFrame(
        [
            {"robot": robot, "seed": seed, "arm": arm, "q_max": run["q_max"].iloc[0], "mean_q": means[robot, seed, arm]}
            | {"wanted": means.get((robot, seed, run["match"].iloc[0]), np.nan)}
            for (robot, seed, arm), run in runs.items()
        ]
    )
    sheet.write_table("mean_q", cells)
    missed = (cells["mean_q"] - cells["wanted"]).abs() > MATCHED_WITHIN
    table = cells[["robot", "arm", "seed"]].assign(
        q_max=[_number(value) for value in cells["q_max"]],
        **{"mean q": [_number(value) for value in cells["mean_q"]]},
        **{
            "to match": [_number(value) + " (missed)" * bad for value, bad in zip(cells["wanted"], missed, strict=True)]
        },
    )
    title = f"Mean q over each training; missed where it differs by more than {MATCHED_WITHIN:g} from what it should be"
    note = (
        "\nA missed run had another share of perturbed episodes than the run that it is compared with: "
        "with q_max = 1 a linear q has a mean of hardly more than 0.5.\n"
    )
    return [_written(sheet, "mean_q", title, table, numbers=4, note=note if missed.any() else "")]


def _written(sheet: Sheet, name: str, title: str, table: pd.DataFrame, numbers: int, note: str = "") -> Section:
    """The table, whose last columns are `numbers`, as NAME.md and NAME.tex, without the robot where there is one."""
    if table["robot"].nunique() == 1:
        table = table.drop(columns="robot")
    left = table.shape[1] - numbers
    text = markdown(table, left) + note
    sheet.write_text(f"{name}.tex", latex(table, _caption(sheet, title, note), left))
    sheet.write_text(f"{name}.md", text)
    return Section(title, text)


def _caption(sheet: Sheet, title: str, note: str) -> str:
    return " ".join([f"{sheet.study.title}. {title}.", *note.split()])


def _number(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.3f}"


def _steps(values: pd.Series) -> str:
    """The median of environment steps, and each of them; where a curve never got there, ∞."""

    def text(value: float) -> str:
        if np.isnan(value):
            return "–"
        return f"{value:,.0f}" if np.isfinite(value) else "∞"

    return f"{text(float(np.median(values)))} ({', '.join(text(value) for value in values)})"
