"""Collect the demo's runs over several seeds into docs/results/demo.md, with their raw files beside it.

Make the runs first, one for each seed:

    afrl run tune_configs/hopper_demo.yaml seed=0 name=hopper_demo_seed0

then:

    python benchmarks/demo_results.py runs/hopper_demo_seed*
"""

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd

from afrl_ray.evaluation.statistics import summarise
from afrl_ray.evaluation.tables import markdown_table

RESULTS = Path(__file__).parents[1] / "docs" / "results"
RAW_FILES = ("summary.json", "scores.parquet", "curves.csv", "curves.png", "manifest.json")
SMALLEST_LOSS = 0.5
"""The offline policy must lose more than this share of its nominal score to the bank."""
SMALLEST_KEPT = 0.6
"""The best trial must keep at least this share of its own nominal score under the evaluation bank."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, help="output folders of the demo, one for each seed")
    runs = parser.parse_args().runs
    folder = RESULTS / "demo"
    rows = [collect(run, folder) for run in runs]
    scores = pd.concat([pd.read_parquet(folder / row["seed_name"] / "scores.parquet") for row in rows])
    passed = sum(row["lost"] > SMALLEST_LOSS and row["kept"] >= SMALLEST_KEPT for row in rows)
    text = [
        "# The demo over seeds",
        "",
        "Made by `afrl run tune_configs/hopper_demo.yaml seed=N name=hopper_demo_seedN` for each seed, collected by",
        "`python benchmarks/demo_results.py runs/hopper_demo_seed*`. Raw files of each seed are in `demo/seedN/`:",
        "every episode in scores.parquet, the learning curves in curves.csv, settings, commit and versions in",
        "manifest.json.",
        "",
        f"Commits: {', '.join(sorted({str(row['commit']) for row in rows}))}.",
        "",
        "## All seeds together",
        "",
        "D4RL-normalised score, mean ± standard error over all episodes of all seeds.",
        "",
        markdown_table(summarise(scores)),
        "## Each seed",
        "",
        "*Lost* is the share of its nominal score that the offline policy loses to the evaluation bank; *kept* is the",
        "share of its own nominal score that the best trial keeps under it. The best trial, and its checkpoint, were",
        "chosen by validation episodes against a validation bank, never by these numbers.",
        "",
        "| seed | offline normal / random / adversarial | lost | best trial | its normal / random / adversarial | kept "
        "| adaptive attack | chosen at step | lowest validation mean on the way |",
        "| --- | --- | ---: | --- | --- | ---: | ---: | ---: | ---: |",
        *(line(row) for row in rows),
        "",
        f"Offline loses more than {SMALLEST_LOSS:.0%} and the best trial keeps at least {SMALLEST_KEPT:.0%} "
        f"in {passed} of {len(rows)} seeds.",
        "",
        "## Learning curves",
        "",
        *(f"![seed {row['seed']}](demo/{row['seed_name']}/curves.png)" for row in rows),
        "",
    ]
    (RESULTS / "demo.md").write_text("\n".join(text))
    print(f"{RESULTS / 'demo.md'}: {passed} of {len(rows)} seeds meet the bar")


def collect(run: Path, folder: Path) -> dict[str, Any]:
    """Copy a run's raw files and return its row."""
    evaluation = run / "evaluation"
    manifest = json.loads((evaluation / "manifest.json").read_text())
    target = folder / f"seed{manifest['seed']}"
    target.mkdir(parents=True, exist_ok=True)
    for name in RAW_FILES:
        shutil.copy2(evaluation / name, target / name)
    summary = json.loads((evaluation / "summary.json").read_text())
    best = manifest["outputs"]["best"]
    trials = json.loads((run / "finetune" / "manifest.json").read_text())["outputs"]["trials"]
    curves = pd.read_csv(evaluation / "curves.csv")
    offline, chosen = summary["offline"], summary[best]
    return {
        "seed": manifest["seed"],
        "seed_name": target.name,
        "commit": manifest["commit"],
        "best": best,
        "offline": offline,
        "chosen": chosen,
        "lost": 1 - offline["adversarial"]["mean"] / offline["normal"]["mean"],
        "kept": chosen["adversarial"]["mean"] / chosen["normal"]["mean"],
        "step": next(trial["best_env_steps"] for trial in trials if trial["name"] == best),
        "dip": curves.loc[curves["trial"] == best, "mean"].min(),
    }


def line(row: dict[str, Any]) -> str:
    def three(estimates: dict[str, Any]) -> str:
        return " / ".join(f"{estimates[name]['mean']:.1f}" for name in ("normal", "random", "adversarial"))

    adaptive = row["chosen"].get("adaptive attack")
    cells = [
        str(row["seed"]),
        three(row["offline"]),
        f"{row['lost']:.0%}",
        row["best"],
        three(row["chosen"]),
        f"{row['kept']:.0%}",
        f"{adaptive['mean']:.1f}" if adaptive else "–",
        f"{row['step']:,}",
        f"{row['dip']:.1f}",
    ]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
