"""Compare arms over seeds: trials of finished runs, by label. Writes docs/results/NAME.md, a figure and the raw files.

An arm is a label, a pattern of output folders (one run for each seed) and a pattern of trials' names in them:

    python benchmarks/compare_arms.py precision --title "float32 against bfloat16" \\
        --arm "bfloat16, fixed q" "runs/hopper_demo_seed*" "fixed*" \\
        --arm "float32, fixed q" "runs/hopper_demo_float32_seed*" "fixed*"

Scores are those of the final evaluation, of each trial's best checkpoint by validation; curves are validation's. With
`--until STEPS` longer trials count only that far, and scores are validation's own at its best point until then.
"""

import argparse
import fnmatch
import json
import shlex
import shutil
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from afrl_ray.evaluation.bands import bands
from afrl_ray.evaluation.panels import LinePanel, draw_panels
from afrl_ray.evaluation.run_statistics import CONFIDENCE, probability_of_improvement

RESULTS = Path(__file__).parents[1] / "docs" / "results"
RAW_FILES = ("summary.json", "curves.csv", "manifest.json", "scores.parquet")
CONDITIONS = ("normal", "random", "adversarial", "mean")
EARLY = (10_000, 20_000)
"""Environment steps in which policies fall after the hand-over, also where the actor waits for 5,000 steps."""
ON_THE_WAY = ("{:,} to {:,} steps".format(*EARLY), "lowest on the way", "last")
"""Validation's mean of three conditions."""
MEASURES = (*CONDITIONS, "adaptive attack", *ON_THE_WAY)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help="of the page and its folder below docs/results")
    parser.add_argument("--title", required=True)
    parser.add_argument(
        "--arm", nargs=3, action="append", required=True, metavar=("LABEL", "RUNS", "TRIAL"), dest="arms"
    )
    parser.add_argument("--note", help="a paragraph on how the runs were made")
    parser.add_argument("--until", type=int, metavar="STEPS", help="what came later is left out of all trials")
    arguments = parser.parse_args()
    folder = RESULTS / arguments.name
    folder.mkdir(parents=True, exist_ok=True)
    rows, curves, commits = [], [], set()
    for label, pattern, trial in arguments.arms:
        runs = sorted(Path().glob(pattern))
        if not runs:
            sys.exit(f"error: {label}: there is no run {pattern}")
        for run in runs:
            manifest = json.loads((run / "evaluation" / "manifest.json").read_text())
            commits.add(str(manifest["commit"]))
            _copy_raw(run, folder)
            row, curve = _read(run, trial, arguments.until)
            rows.append({"arm": label, "seed": manifest["seed"], **row})
            curves.append(curve.assign(arm=label, seed=manifest["seed"]))
    table = pd.DataFrame(rows)
    _draw(pd.concat(curves)).savefig(folder / "curves.png", dpi=130)
    (RESULTS / f"{arguments.name}.md").write_text(_page(arguments, table, commits))
    print(RESULTS / f"{arguments.name}.md")


def _copy_raw(run: Path, folder: Path) -> None:
    target = folder / run.name
    target.mkdir(exist_ok=True)
    for name in RAW_FILES:
        shutil.copy2(run / "evaluation" / name, target / name)


def _read(run: Path, pattern: str, until: int | None) -> tuple[dict[str, float], pd.DataFrame]:
    """The measures and the learning curve, as far as `until`, of the one trial whose name fits `pattern`."""
    summary: dict[str, Any] = json.loads((run / "evaluation" / "summary.json").read_text())
    names = [name for name in summary if fnmatch.fnmatchcase(name, pattern)]
    if len(names) != 1:
        sys.exit(f"error: {run}: {pattern!r} fits {names or 'no trial'}; there are {', '.join(summary)}")
    curves = pd.read_csv(run / "evaluation" / "curves.csv")
    curve = curves[curves["trial"] == names[0]].drop(columns="trial")
    if until is None:
        scores = {name: summary[names[0]][name]["mean"] for name in MEASURES if name in summary[names[0]]}
    else:
        curve = curve[curve["env_steps"] <= until]
        scores = curve.loc[curve["mean"].idxmax(), list(CONDITIONS)].to_dict()
    if len(curve):
        early = curve["env_steps"].between(*EARLY)
        measured = (curve.loc[early, "mean"].mean(), curve["mean"].min(), curve["mean"].iloc[-1])
        scores |= dict(zip(ON_THE_WAY, measured, strict=True))
    return scores, curve


def _page(arguments: argparse.Namespace, table: pd.DataFrame, commits: set[str]) -> str:
    name = arguments.name
    measures = [measure for measure in MEASURES if measure in table]
    columns = len(measures) - len(ON_THE_WAY)
    source = "the final evaluation, of each trial's best checkpoint by validation"
    if arguments.until is not None:
        source = f"validation, at each trial's best point within {arguments.until:,} steps"
    arms = list(table["arm"].unique())
    command = shlex.join(["python", "benchmarks/compare_arms.py", *sys.argv[1:]])
    text = [
        f"# {arguments.title}",
        "",
        f"Made by `{command}`. Commits of the runs: {', '.join(sorted(commits))}. Raw files: `{name}/`.",
        "",
        *([*textwrap.wrap(arguments.note, 118), ""] if arguments.note else []),
        f"D4RL-normalised scores, mean over seeds [{CONFIDENCE:.0%} interval of it by Student's t]. The first",
        f"{columns} columns are of {source}.",
        "The last three are validation's mean of three conditions while learning: early, at its lowest, and last.",
        "",
        f"| arm | seeds | {' | '.join(measures)} |",
        f"| --- | ---: |{' ---: |' * len(measures)}",
    ]
    for arm in arms:
        part = table[table["arm"] == arm]
        cells = [_interval_text(part[measure]) for measure in measures]
        text.append(f"| {arm} | {len(part)} | {' | '.join(cells)} |")
    text += ["", f"Against *{arms[0]}*, by the mean of the three conditions:", ""]
    text += ["| arm | difference of means | each mean within the other's interval | P(a run is better) |"]
    text += ["| --- | ---: | --- | ---: |"]
    baseline = table.loc[table["arm"] == arms[0], "mean"].to_numpy()
    for arm in arms[1:]:
        scores = table.loc[table["arm"] == arm, "mean"].to_numpy()
        better = probability_of_improvement([scores], [baseline])
        text.append(
            f"| {arm} | {scores.mean() - baseline.mean():+.1f} | {'yes' if _compatible(scores, baseline) else 'no'} "
            f"| {better.value:.2f} [{better.low:.2f}, {better.high:.2f}] |"
        )
    text += [
        "",
        "## Each seed",
        "",
        f"| arm | seed | {' | '.join(measures)} |",
        f"| --- | ---: |{' ---: |' * len(measures)}",
    ]
    for _, row in table.iterrows():
        cells = [f"{row[measure]:.1f}" if pd.notna(row[measure]) else "–" for measure in measures]
        text.append(f"| {row['arm']} | {row['seed']} | {' | '.join(cells)} |")
    text += ["", "## Learning curves", "", "Validation, mean over seeds and its standard error.", ""]
    return "\n".join([*text, f"![learning curves]({name}/curves.png)", ""])


def _interval_text(scores: pd.Series) -> str:
    values = scores.dropna().to_numpy()
    if not len(values):
        return "–"
    if len(values) == 1:
        return f"{values[0]:.1f}"
    low, high = _interval(values)
    return f"{values.mean():.1f} [{low:.1f}, {high:.1f}]"


def _interval(values: np.ndarray) -> tuple[float, float]:
    half = stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return values.mean() - half, values.mean() + half


def _compatible(scores: np.ndarray, others: np.ndarray) -> bool:
    (low, high), (other_low, other_high) = _interval(scores), _interval(others)
    return bool(low <= others.mean() <= high and other_low <= scores.mean() <= other_high)


def _draw(curves: pd.DataFrame) -> Any:
    panels = [
        LinePanel(condition, "environment steps", "score", bands(curves, "arm", "env_steps", condition), steps=True)
        for condition in CONDITIONS
    ]
    return draw_panels([panels[:2], panels[2:]])


if __name__ == "__main__":
    main()
