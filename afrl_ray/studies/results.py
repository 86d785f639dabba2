"""From findings to files: which function makes which kind of result."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from afrl_ray.config import study as kinds
from afrl_ray.storage import replacing
from afrl_ray.studies.collect import Findings
from afrl_ray.studies.figures import learning_curves, matrix, q_curves, score_grid, scores_against
from afrl_ray.studies.sheet import Section, Sheet
from afrl_ray.studies.tables import against_data_table, convergence_table, mean_q_table, score_table

SCORES_FILE = "scores.parquet"
CURVES = "curves"
"""A table's name."""
_WRITERS: dict[type, Callable[[Sheet, Any], list[Section]]] = {
    kinds.ScoreTable: score_table,
    kinds.AgainstData: against_data_table,
    kinds.LearningCurves: learning_curves,
    kinds.QCurves: q_curves,
    kinds.MeanQTable: mean_q_table,
    kinds.ConvergenceTable: convergence_table,
    kinds.ScoresAgainst: scores_against,
    kinds.ScoreGrid: score_grid,
    kinds.Matrix: matrix,
}


def write_results(
    study: kinds.StudySettings, budget: kinds.StudyBudget, findings: Findings, directory: Path
) -> list[Section]:
    """Every result of the study, in its order; also all episodes (scores.parquet) and all curves (curves.csv)."""
    sheet = Sheet(directory, study, budget, findings)
    with replacing(directory / SCORES_FILE) as temporary:
        findings.scores.to_parquet(temporary, index=False)
    if len(findings.curves):
        sheet.write_table(CURVES, findings.curves)
    sections = []
    for result in study.results:
        sections += _WRITERS[type(result)](sheet, result)
    return sections
