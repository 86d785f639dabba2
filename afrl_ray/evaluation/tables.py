"""Scores and summaries as files."""

import json
import math
from pathlib import Path
from typing import Any

import pandas as pd

from afrl_ray.evaluation.conditions import CONDITIONS
from afrl_ray.evaluation.statistics import MEAN, Estimate, Summary
from afrl_ray.evaluation.typesetting import markdown, with_error
from afrl_ray.storage import replacing


def markdown_table(summary: Summary, digits: int = 1) -> str:
    """Rows are policies, columns conditions with their mean last, cells `mean ± se`; – where nothing was measured."""
    found = {name for estimates in summary.values() for name in estimates}
    others = sorted(found - {*CONDITIONS, MEAN})
    columns = [name for name in (*CONDITIONS, *others, MEAN) if name in found]
    lines = [
        [policy, *(_cell(estimates[name], digits) if name in estimates else "–" for name in columns)]
        for policy, estimates in summary.items()
    ]
    return markdown(pd.DataFrame(lines, columns=["policy", *columns]))


def _cell(estimate: Estimate, digits: int) -> str:
    return with_error(estimate["mean"], estimate["se"], digits)


def write_markdown(text: str, path: Path) -> None:
    """Write `text` to `path`, atomically."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_scores(scores: pd.DataFrame, path: Path) -> None:
    """Write rows of `evaluate` to `path`.parquet and `path`.csv, each atomically; δ is a JSON list in the CSV."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(scores_file(path)) as temporary:
        scores.to_parquet(temporary, index=False)
    with replacing(path.with_name(f"{path.name}.csv")) as temporary:
        scores.assign(delta=scores["delta"].map(json.dumps)).to_csv(temporary, index=False)


def scores_file(path: Path) -> Path:
    """`path`.parquet."""
    return path.with_name(f"{path.name}.parquet")


def read_scores(path: Path) -> pd.DataFrame:
    """The rows that `write_scores` put into `path`.parquet.

    Raises:
        FileNotFoundError: there is no such file.
    """
    scores = pd.read_parquet(scores_file(path))
    return scores.assign(delta=scores["delta"].map(list))


def plain_summary(summary: Summary) -> dict[str, Any]:
    """`summary` as JSON can hold it: an unknown standard error is null."""
    return {
        policy: {
            name: {**estimate, "se": None if math.isnan(estimate["se"]) else estimate["se"]}
            for name, estimate in estimates.items()
        }
        for policy, estimates in summary.items()
    }


def write_summary(summary: Summary, path: Path) -> None:
    """Write `plain_summary` to `path` as JSON, atomically."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(plain_summary(summary), indent=2, allow_nan=False) + "\n", encoding="utf-8")
