import json
import math
from pathlib import Path

import pandas as pd
import pytest

from afrl_ray.evaluation.statistics import Estimate
from afrl_ray.evaluation.tables import markdown_table, read_scores, write_markdown, write_scores, write_summary
from afrl_ray.storage import replacing

SUMMARY = {
    "offline": {
        "normal": Estimate(mean=108.25, se=0.312, n=500),
        "random": Estimate(mean=60.0, se=2.0, n=500),
        "adversarial": Estimate(mean=14.96, se=1.0, n=500),
        "mean": Estimate(mean=61.07, se=0.9, n=500),
    },
    "a|b": {"normal": Estimate(mean=1.0, se=math.nan, n=1), "adaptive": Estimate(mean=2.0, se=0.5, n=2)},
}


def test_table_by_hand() -> None:
    assert markdown_table(SUMMARY) == (
        "| policy | normal | random | adversarial | adaptive | mean |\n"
        "| --- | ---: | ---: | ---: | ---: | ---: |\n"
        "| offline | 108.2 ± 0.3 | 60.0 ± 2.0 | 15.0 ± 1.0 | – | 61.1 ± 0.9 |\n"
        "| a\\|b | 1.0 | – | – | 2.0 ± 0.5 | – |\n"
    )


def test_scores_survive_the_file(tmp_path: Path) -> None:
    scores = pd.DataFrame(
        {"policy": ["p", "p"], "return": [1.5, 2.5], "perturbed": [False, True], "delta": [[0.0, 0.0], [0.25, -0.5]]}
    )
    write_scores(scores, tmp_path / "deep" / "scores")
    pd.testing.assert_frame_equal(read_scores(tmp_path / "deep" / "scores"), scores)
    table = pd.read_csv(tmp_path / "deep" / "scores.csv")
    assert list(table["delta"].map(json.loads)) == [[0.0, 0.0], [0.25, -0.5]]
    assert sorted(path.name for path in (tmp_path / "deep").iterdir()) == ["scores.csv", "scores.parquet"]


def test_summary_is_plain_json(tmp_path: Path) -> None:
    write_summary(SUMMARY, tmp_path / "summary.json")
    content = json.loads((tmp_path / "summary.json").read_text())
    assert content["offline"]["normal"] == {"mean": 108.25, "se": 0.312, "n": 500}
    assert content["a|b"]["normal"]["se"] is None


def test_markdown_is_written(tmp_path: Path) -> None:
    write_markdown(markdown_table(SUMMARY), tmp_path / "table.md")
    assert (tmp_path / "table.md").read_text(encoding="utf-8") == markdown_table(SUMMARY)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_text("old")

    def write_and_die() -> None:
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_and_die()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
