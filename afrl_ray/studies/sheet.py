"""What every result of a study is made with: plan, findings, and the folder its files go to."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from afrl_ray.config.study import StudyBudget, StudySettings
from afrl_ray.evaluation.panels import Panel, draw_panels
from afrl_ray.evaluation.plots import save_figure
from afrl_ray.evaluation.statistics import score_column
from afrl_ray.storage import replacing
from afrl_ray.studies.collect import Findings


@dataclass(frozen=True)
class Section:
    """A part of a study's report, its files written."""

    title: str
    text: str
    """Markdown: a table, or an image."""


@dataclass(frozen=True)
class Paper:
    """The folder of a study's tables and figures."""

    directory: Path

    def write_table(self, name: str, cells: pd.DataFrame) -> None:
        with replacing(self.directory / f"{name}.csv") as temporary:
            cells.to_csv(temporary, index=False)

    def write_text(self, name: str, text: str) -> None:
        with replacing(self.directory / name) as temporary:
            temporary.write_text(text, encoding="utf-8")

    def draw(self, name: str, title: str, rows: list[list[Panel]]) -> Section:
        """The figure as PNG and SVG."""
        figure = draw_panels(rows, title)
        for suffix in ("png", "svg"):
            save_figure(figure, self.directory / f"{name}.{suffix}")
        return Section(title, f"![{title}]({name}.png)\n")


@dataclass(frozen=True)
class Sheet(Paper):
    """Where a result of fine-tunings is drawn: the study and its size, and what was found."""

    study: StudySettings
    budget: StudyBudget
    findings: Findings

    @property
    def final(self) -> pd.DataFrame:
        """Scores of the final policies at the end, and those of pretrained ones, with one column `score`."""
        scores = self.findings.scores
        rows = scores[(scores["policy"] == "final") & scores["step"].isin([0, self.budget.steps])]
        return rows.assign(score=rows[score_column(rows)])

    @property
    def score_label(self) -> str:
        return "Return" if score_column(self.findings.scores) == "return" else "Normalised score"

    def by_robot(self, rows: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
        """(prefix of titles, rows) of each robot; the prefix is empty where there is one robot."""
        several = rows["robot"].nunique() > 1
        for robot, part in rows.groupby("robot", sort=False):
            yield f"{robot}, " if several else "", part
