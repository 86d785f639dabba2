import math

import pandas as pd

from afrl_ray.evaluation.run_statistics import Interval
from afrl_ray.evaluation.typesetting import latex, markdown, with_error, with_interval


def test_unknown_errors_and_intervals_are_left_out() -> None:
    assert with_error(1.25, math.nan) == "1.2"
    assert with_error(1.0, 0.5, digits=2) == "1.00 ± 0.50"
    assert with_interval(Interval(0.5, 0.25, 0.75), digits=2) == "0.50 [0.25, 0.75]"
    assert with_interval(Interval(0.5, math.nan, math.nan)) == "0.5"


TABLE = pd.DataFrame([["a|b", "1.0 ± 0.5"], ["50 % β_2", "–"]], columns=["arm", "with | without"])


def test_markdown() -> None:
    assert markdown(TABLE) == "| arm | with \\| without |\n| --- | ---: |\n| a\\|b | 1.0 ± 0.5 |\n| 50 % β_2 | – |\n"


def test_latex_escapes_what_it_would_read() -> None:
    text = latex(TABLE, "Scores of A & B")
    assert r"\caption{Scores of A \& B}" in text
    assert r"\begin{tabular}{lr}" in text
    assert r"a|b & 1.0 $\pm$ 0.5 \\" in text
    assert r"50 \% $\beta$\_2 & -- \\" in text
    assert text.count(r"\\") == 3
