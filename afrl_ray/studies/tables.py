"""The tables of studies: scores of arms under conditions, and how fast they converged."""

import numpy as np
import pandas as pd

from afrl_ray.config import study as kinds
from afrl_ray.curriculum.schedules import mean_q
from afrl_ray.evaluation.convergence import final_score, steps_to_converge
from afrl_ray.evaluation.run_statistics import Interval
from afrl_ray.evaluation.study_tables import (
    improvement_cells,
    laid_out,
    latex,
    markdown,
    score_cells,
    with_error,
    with_interval,
)
from afrl_ray.studies.sheet import Section, Sheet

MATCHED_WITHIN = 0.01
"""How far from the other arm's mean q one may be that was matched to it."""


def score_table(sheet: Sheet, result: kinds.ScoreTable) -> list[Section]:
    """Of final policies, as the paper, and of those that validation chose."""
    sections, tables = [], []
    averaged = sheet.study.condition_names
    cells = score_cells(sheet.findings.scores, ["policy", "robot", "arm", "step"], averaged)
    sheet.write_table("table", cells)
    chosen = {"final": "Policies at the end of their training", "best": "Policies chosen by validation"}
    for kind, title in chosen.items():
        part = cells[cells["policy"] == kind]
        keys = [name for name in ("robot", "arm", "step") if name == "arm" or part[name].nunique() > 1]
        keys = [name for name in keys if name != "step" or sheet.budget.read_at]
        part = part.assign(step=part["step"].map(lambda step: f"{step:,}" if step else "–"))
        errors = {label: with_error(cell["mean"], cell["se"]) for label, cell in part.iterrows()}
        means = {
            label: with_interval(Interval(cell["iqm"], cell["iqm_low"], cell["iqm_high"]))
            for label, cell in part.iterrows()
        }
        table = laid_out(part, keys, errors)
        tables.append(latex(table, f"{sheet.study.title}. {title}, mean ± standard error.", len(keys)))
        sections.append(Section(f"{title}: mean ± standard error over all episodes", markdown(table, len(keys))))
        text = markdown(laid_out(part, keys, means), len(keys))
        sections.append(Section(f"{title}: interquartile mean over runs, 95 % interval", text))
    sheet.write_text("table.tex", "\n".join(tables))
    if result.baseline is not None:
        improvement = improvement_cells(sheet.final, "arm", result.baseline)
        sheet.write_table("improvement", improvement)
        text_of = {
            label: with_interval(Interval(cell["probability"], cell["low"], cell["high"]), digits=2)
            for label, cell in improvement.iterrows()
        }
        title = f"Probability that a run scores more than one of {result.baseline}, 95 % interval"
        sections.append(Section(title, markdown(laid_out(improvement, ["arm"], text_of))))
    sheet.write_text("table.md", "\n".join(f"{section.title}\n\n{section.text}" for section in sections))
    return sections


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
                    "steps_to_reference": steps_to_converge(steps, scores, common),
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
    table = pd.DataFrame(lines)
    if cells["robot"].nunique() == 1:
        table = table.drop(columns="robot")
    left = table.shape[1] - len(names)
    title = "Convergence: median over runs (each run), from validation scores smoothed over five evaluations"
    sheet.write_text("convergence.tex", latex(table, f"{sheet.study.title}. {title}.", left))
    sheet.write_text("convergence.md", markdown(table, left))
    return [Section(title, markdown(table, left))]


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
    if cells["robot"].nunique() == 1:
        table = table.drop(columns="robot")
    title = f"Mean q over each training; missed where it differs by more than {MATCHED_WITHIN:g} from what it should be"
    text = markdown(table, table.shape[1] - 4)
    if missed.any():
        text += (
            "\nA missed run had another share of perturbed episodes than the run that it is compared with: "
            "with q_max = 1 a linear q has a mean of hardly more than 0.5.\n"
        )
    sheet.write_text("mean_q.md", text)
    return [Section(title, text)]


def _number(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.3f}"


def _steps(values: pd.Series) -> str:
    """The median of environment steps, and each of them; where a curve never got there, ∞."""

    def text(value: float) -> str:
        if np.isnan(value):
            return "–"
        return f"{value:,.0f}" if np.isfinite(value) else "∞"

    return f"{text(float(np.median(values)))} ({', '.join(text(value) for value in values)})"
