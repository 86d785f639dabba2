"""A study of attackers: which optimizer finds the worst faults of pretrained policies for how many steps."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from afrl_ray.attacks.compare import compare_attackers, lowest_returns
from afrl_ray.config.study import AttackersBudget, AttackersSettings
from afrl_ray.evaluation.panels import Band, LinePanel, Panel
from afrl_ray.evaluation.typesetting import latex, markdown, with_error
from afrl_ray.perturbations import Body, make_fault
from afrl_ray.pipeline.artifacts import Stage
from afrl_ray.pipeline.cluster import connect
from afrl_ray.pipeline.foundation import Foundation
from afrl_ray.pipeline.progress import progress
from afrl_ray.rollouts import DistributedRollouts
from afrl_ray.seeding import derive_seed
from afrl_ray.storage import replacing
from afrl_ray.studies.plan import Case
from afrl_ray.studies.sheet import Paper, Section

_POINTS = 25
"""Of each curve."""
_FILE = "comparison.parquet"
_TITLE = "Lowest return found against environment steps, mean and standard error over searches"


def compare(case: Case, study: AttackersSettings, budget: AttackersBudget, store: Path) -> pd.DataFrame:
    """Rows of `compare_attackers` against the case's pretrained policy, with robot and run; kept once made.

    Raises:
        ValueError: an optimizer that nevergrad does not know.
    """
    foundation = Foundation(case.settings, store)
    stage = comparison_stage(foundation, study, budget)
    if not stage.finished():
        _compare(foundation, study, budget, stage)
    return pd.read_parquet(stage.directory / _FILE).assign(robot=case.robot, run=case.seed)


def write_comparison(
    rows: pd.DataFrame, study: AttackersSettings, budget: AttackersBudget, directory: Path
) -> list[Section]:
    """Figure and tables of the lowest return that each optimizer had found, and all rows (comparison.csv).

    A line begins where all searches of its optimizer have finished a generation.
    """
    steps = np.linspace(0, budget.step_budget, _POINTS + 1)[1:].tolist()
    panels: list[Panel] = []
    tables = []
    for robot, part in rows.groupby("robot", sort=False):
        lowest = lowest_returns(part, steps)
        shared = lowest[lowest["n"] == len(part.groupby(["run", "seed"]))]  # a mean over other searches would jump
        bands = {
            str(name): Band(*(own[column].to_numpy(dtype=np.float64) for column in ("environment_steps", "mean", "se")))
            for name, own in shared.groupby("optimizer", sort=False)
        }
        panels.append(LinePanel(str(robot), "Environment steps", "Lowest return found", bands, steps=True))
        found = lowest[lowest["environment_steps"] == steps[-1]]
        tables.append(found.join(_spent(part), on="optimizer").assign(robot=robot))
    paper = Paper(directory)
    figure = paper.draw("attackers", _TITLE, [panels])
    paper.write_table("comparison", rows.assign(delta=rows["delta"].map(list).map(json.dumps)))
    cells = pd.concat(tables, ignore_index=True)
    paper.write_table("table", cells)
    table = _table(cells)
    title = (
        f"Lowest return found within {budget.step_budget:,} environment steps, mean ± standard error over searches; "
        "all steps until the search's end, its last generation and choice included, and all candidates it tried"
    )
    paper.write_text("table.md", markdown(table, 2))
    paper.write_text("table.tex", latex(table, f"{study.title}. {title}.", 2))
    return [Section(title, markdown(table, 2)), figure]


def _spent(rows: pd.DataFrame) -> pd.DataFrame:
    """Environment steps and candidates of each optimizer's searches, in the mean."""
    ends = rows.groupby(["optimizer", "run", "seed"], sort=False)[["environment_steps", "candidates"]].max()
    return ends.groupby("optimizer", sort=False).mean().rename(columns={"environment_steps": "spent"})


def _table(lowest: pd.DataFrame) -> pd.DataFrame:
    returns = [with_error(row.mean, row.se) for row in lowest[["mean", "se"]].itertuples(index=False)]
    columns = {"robot": lowest["robot"], "optimizer": lowest["optimizer"], "return": returns, "searches": lowest["n"]}
    counts = {"steps spent": lowest["spent"], "candidates": lowest["candidates"]}
    return pd.DataFrame({**columns, **{name: [f"{value:,.0f}" for value in part] for name, part in counts.items()}})


def comparison_stage(foundation: Foundation, study: AttackersSettings, budget: AttackersBudget) -> Stage:
    """Where the comparison against its policy is kept."""
    experiment = foundation.experiment
    return experiment.stage(
        "attackers",
        "attack",
        {"pretrain": foundation.pretrain.key},
        fault=experiment.fault.model_dump(mode="json"),
        optimizers=list(study.optimizers),
        step_budget=budget.step_budget,
        searches=budget.searches,
        plain_episodes=budget.plain_episodes,
        measuring_episodes=budget.measuring_episodes,
    )


def _compare(foundation: Foundation, study: AttackersSettings, budget: AttackersBudget, stage: Stage) -> None:
    experiment, settings = foundation.experiment, foundation.settings
    stage.begin()
    connect(settings.runtime)
    policy, runtime = foundation.policy(), settings.runtime
    seeds: Sequence[int] = [derive_seed(settings.seed, "attackers", search) for search in range(budget.searches)]
    with progress("attackers", len(study.optimizers), "optimizers") as report:
        rows = compare_attackers(
            DistributedRollouts(policy, settings.environment, runtime.attack_workers, runtime.resources.evaluation),
            make_fault(experiment.fault, Body.of(policy)),
            settings.attack,
            longest_episode=settings.environment.max_episode_steps,
            step_budget=budget.step_budget,
            plain_episodes=budget.plain_episodes,
            seeds=seeds,
            optimizers=study.optimizers,
            measuring_episodes=budget.measuring_episodes,
            progress=report,
        )
    with replacing(stage.directory / _FILE) as temporary:
        rows.to_parquet(temporary, index=False)
    stage.finish({"rows": len(rows)}, settings.seed)
