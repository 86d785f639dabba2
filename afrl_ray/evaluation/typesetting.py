"""Numbers and tables laid out, in Markdown and LaTeX."""

import math

import pandas as pd

from afrl_ray.evaluation.run_statistics import Interval

_LATEX = {
    "\\": r"\textbackslash{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "β": r"$\beta$",
    "κ": r"$\kappa$",
    "δ": r"$\delta$",
    "→": r"$\to$",
    "–": "--",
    ">": "$>$",
    "<": "$<$",
    "∞": r"$\infty$",
}


def with_error(mean: float, se: float, digits: int = 1) -> str:
    """`mean ± se`, without the latter where it is not known."""
    return f"{mean:.{digits}f}" if math.isnan(se) else f"{mean:.{digits}f} ± {se:.{digits}f}"


def with_interval(interval: Interval, digits: int = 1) -> str:
    """`value [low, high]`, without the latter where they are not known."""
    value, low, high = (f"{number:.{digits}f}" for number in interval)
    return value if math.isnan(interval.low) else f"{value} [{low}, {high}]"


def markdown(table: pd.DataFrame, numbers_from: int = 1) -> str:
    """A Markdown table; columns from the `numbers_from`-th on are set to the right."""
    marks = ["---" if index < numbers_from else "---:" for index in range(table.shape[1])]
    head, *body = [
        [str(cell).replace("|", r"\|") for cell in row] for row in [list(table.columns), *table.to_numpy().tolist()]
    ]
    lines = [head, marks, *body]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def latex(table: pd.DataFrame, caption: str, numbers_from: int = 1) -> str:
    """A LaTeX table with booktabs' rules, ready for \\input."""
    head, *body = [
        " & ".join("".join(_LATEX.get(sign, sign) for sign in str(cell)) for cell in row) + r" \\"
        for row in [list(table.columns), *table.to_numpy().tolist()]
    ]
    columns = "l" * numbers_from + "r" * (table.shape[1] - numbers_from)
    title = "".join(_LATEX.get(sign, sign) for sign in caption)
    lines = [r"\begin{table}", r"\centering", rf"\caption{{{title}}}", rf"\begin{{tabular}}{{{columns}}}", r"\toprule"]
    lines += [head, r"\midrule", *body, r"\bottomrule", r"\end{tabular}", r"\end{table}"]
    return "\n".join(lines) + "\n"
