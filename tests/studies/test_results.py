"""Tables and figures from findings made by hand: every number that is drawn or written is checked."""

import itertools
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from afrl_ray.config.study import AttackersSettings, StudyBudget, StudySettings
from afrl_ray.evaluation import plots
from afrl_ray.studies import attackers, sheet
from afrl_ray.studies.collect import Findings
from afrl_ray.studies.plan import Plan
from afrl_ray.studies.results import write_results as write
from afrl_ray.studies.sheet import Section

MakePlan = Callable[..., Plan]
CONDITIONS = ("normal", "random", "adversarial")
ARMS = {"offline": 0, "tuned": 400}
"""Arms and the step at which they are measured."""
BUDGET = {"step_budget": 1000, "searches": 2}


def score_rows(
    arms: dict[str, int], robots: Sequence[str] = ("hopper",), varied: Sequence[dict[str, Any]] = ({},)
) -> pd.DataFrame:
    """Two runs of two episodes; the score says where it is from: arm 0 or 100, condition 0, 10, 20, run 0 or 2."""
    rows = []
    for (index, (arm, step)), robot, values, policy in itertools.product(
        enumerate(arms.items()), robots, varied, ("final", "best")
    ):
        for (place, condition), seed, episode in itertools.product(enumerate(CONDITIONS), range(2), range(2)):
            score = 100.0 * index + 10 * place + 2 * seed + (1000 if policy == "best" else 0)
            score += 5 * list(varied).index(values)
            rows.append(
                {"arm": arm, "robot": robot, "step": step, "policy": policy, "condition": condition, "seed": seed}
                | {"episode": episode, "return": score, "normalised_score": score, "data": 50.0 + seed, **values}
            )
    return pd.DataFrame(rows)


def curve_rows(arms: Sequence[str], varied: Sequence[dict[str, Any]] = ({},)) -> pd.DataFrame:
    """Two runs with evaluations at 0, 200, 400; the scores of the second run are 2 higher; q rises from 0 to 1."""
    return pd.DataFrame(
        [
            {"arm": arm, "robot": "hopper", "seed": seed, "env_steps": 200 * k, "q": k / 2 + 0.1 * index}
            | dict.fromkeys(CONDITIONS, 10.0 * k + 2 * seed + index)
            | values
            for index, (arm, values) in enumerate(itertools.product(arms, varied))
            for seed in range(2)
            for k in range(3)
        ]
    )


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> dict[str, Figure]:
    """The figures that are written, by file name; they are not rendered."""
    drawn: dict[str, Figure] = {}
    monkeypatch.setattr(sheet, "save_figure", lambda figure, path: drawn.__setitem__(path.name, figure))
    return drawn


def lines(figure: Figure, panel: int) -> dict[str, tuple[list[float], list[float]]]:
    drawn = figure.axes[panel].get_lines()
    return {str(line.get_label()): (list(line.get_xdata()), list(line.get_ydata())) for line in drawn}


def write_results(plan: Plan, findings: Findings, directory: Path) -> list[Section]:
    assert isinstance(plan.study, StudySettings)
    assert isinstance(plan.budget, StudyBudget)
    return write(plan.study, plan.budget, findings, directory)


def with_results(*results: dict[str, Any], **study: Any) -> dict[str, Any]:
    return {"results": list(results), **study}


def test_the_score_table_has_final_and_chosen_policies(make_plan: MakePlan, tmp_path: Path) -> None:
    plan = make_plan(with_results({"type": "scores", "baseline": "offline"}))
    sections = write_results(plan, Findings(score_rows(ARMS), curve_rows(["tuned"])), tmp_path)
    end, chosen = "Policies at the end of their training", "Policies chosen by validation"
    assert [section.title.partition(":")[0] for section in sections] == [end, end, chosen, chosen, end]
    assert sections[4].title == f"{end}: probability that a run scores more than one of offline, 95 % interval"
    # four episodes 20, 20, 22, 22: s = √(4/3), s / √4 = 0.577
    assert "| offline | 1.0 ± 0.6 | 11.0 ± 0.6 | 21.0 ± 0.6 | 11.0 ± 0.6 |" in sections[0].text
    assert "| tuned | 101.0 [100.0, 102.0] | 111.0 [110.0, 112.0] |" in sections[1].text
    assert "| tuned | 1101.0 ± 0.6 |" in sections[2].text
    assert "| tuned | 1.00 [1.00, 1.00] | 1.00 [1.00, 1.00] | 1.00 [1.00, 1.00] |" in sections[4].text
    cells = pd.read_csv(tmp_path / "table.csv")
    assert len(cells) == 2 * 2 * 4  # policies, arms, conditions and their mean
    assert r"offline & 1.0 $\pm$ 0.6 &" in (tmp_path / "table.tex").read_text()
    assert sections[0].text in (tmp_path / "table.md").read_text()
    assert len(pd.read_parquet(tmp_path / "scores.parquet")) == 48


def test_rows_have_robots_and_steps_where_there_are_several(make_plan: MakePlan, tmp_path: Path) -> None:
    plan = make_plan(with_results({"type": "scores"}, scales={"tiny": {"steps": 400, "read_at": [200]}}))
    early = score_rows({"offline": 0, "tuned": 200}).query("arm == 'tuned'")
    scores = pd.concat([score_rows(ARMS, robots=("hopper", "ant")), early])
    sections = write_results(plan, Findings(scores, curve_rows(["tuned"])), tmp_path)
    text = sections[0].text
    assert text.startswith("| robot | arm | step | normal | random | adversarial | mean |")
    assert "| hopper | offline | – | 1.0 ± 0.6 |" in text
    assert "| hopper | tuned | 200 | 101.0 ± 0.6 |" in text
    assert "| ant | tuned | 400 | 101.0 ± 0.6 |" in text
    assert "Fewer than four runs" in sections[1].text
    # of both robots' runs 0, 2, 0, 2 the middle half is 0, 2
    assert "over the runs of all robots" in sections[2].title
    assert "| offline | – | 1.0 [0.0, 2.0] |" in sections[2].text


def test_scores_stand_against_the_data_s_average(make_plan: MakePlan, tmp_path: Path) -> None:
    plan = make_plan(with_results({"type": "against_data"}))
    (section,) = write_results(plan, Findings(score_rows(ARMS), curve_rows(["tuned"])), tmp_path)
    # without faults: runs 0 and 2 of offline, 100 and 102 of tuned; data 50 and 51
    assert section.text.splitlines()[2:] == [
        "| offline | 50.5 | 1.0 | -49.5 | -50.0, -49.0 |",
        "| tuned | 50.5 | 101.0 | +50.5 | +50.0, +51.0 |",
    ]
    assert pd.read_csv(tmp_path / "against_data.csv")["difference"].tolist() == [-50, -49, 50, 51]
    assert (tmp_path / "against_data.tex").exists()


def test_learning_curves_are_means_over_runs(make_plan: MakePlan, tmp_path: Path, figures: dict[str, Figure]) -> None:
    plan = make_plan(with_results({"type": "curves"}))
    (section,) = write_results(plan, Findings(score_rows(ARMS), curve_rows(["a", "b"])), tmp_path)
    assert "![Validation scores" in section.text
    assert set(figures) == {"learning_curves.png", "learning_curves.svg"}
    figure = figures["learning_curves.png"]
    assert [axes.get_title() for axes in figure.axes] == list(CONDITIONS)
    assert lines(figure, 2) == {"a": ([0, 200, 400], [1, 11, 21]), "b": ([0, 200, 400], [2, 12, 22])}
    assert len(pd.read_csv(tmp_path / "curves.csv")) == 12


def test_q_has_a_panel_for_each_value_and_a_line_for_the_others(
    make_plan: MakePlan, tmp_path: Path, figures: dict[str, Figure]
) -> None:
    grid = {"curriculum.beta": [0.1, 0.9], "curriculum.kappa": [0.5]}
    plan = make_plan(
        with_results(
            {"type": "q", "panels": "curriculum.beta"},
            {"type": "q"},
            grid=grid,
            settings={"curriculum.type": "adaptive"},
        )
    )
    varied = [{"curriculum.beta": beta, "curriculum.kappa": 0.5} for beta in (0.1, 0.9)]
    curves = curve_rows(["tuned"], varied)
    write_results(plan, Findings(score_rows(ARMS), curves[curves["curriculum.beta"] == 0.1]), tmp_path)
    assert lines(figures["q.png"], 0) == {"tuned": ([0, 200, 400], [0, 0.5, 1])}
    plan = make_plan(
        with_results({"type": "q", "panels": "curriculum.beta"}, grid=grid, settings={"curriculum.type": "adaptive"})
    )
    write_results(plan, Findings(score_rows(ARMS), curves), tmp_path)
    figure = figures["q_by_beta.png"]
    assert [axes.get_title() for axes in figure.axes] == ["β = 0.1", "β = 0.9"]
    assert lines(figure, 1)["κ = 0.5"][0] == [0, 200, 400]
    np.testing.assert_allclose(lines(figure, 1)["κ = 0.5"][1], [0.1, 0.6, 1.1])


def test_scores_against_a_setting(make_plan: MakePlan, tmp_path: Path, figures: dict[str, Figure]) -> None:
    plan = make_plan(
        with_results({"type": "scores_against", "setting": "curriculum.q"}, grid={"curriculum.q": [0.2, 0.8]})
    )
    trained = score_rows({"tuned": 400}, varied=[{"curriculum.q": 0.2}, {"curriculum.q": 0.8}])
    write_results(plan, Findings(pd.concat([score_rows({"offline": 0}), trained]), pd.DataFrame()), tmp_path)
    assert lines(figures["scores_against_q.png"], 0) == {
        "normal": ([0.2, 0.8], [1, 6]),
        "random": ([0.2, 0.8], [11, 16]),
        "adversarial": ([0.2, 0.8], [21, 26]),
    }


def test_a_grid_has_lines_for_each_condition_and_a_heat_map_of_their_mean(
    make_plan: MakePlan, tmp_path: Path, figures: dict[str, Figure]
) -> None:
    grid = {"curriculum.beta": [0.1, 0.9], "curriculum.kappa": [0.3, 0.6]}
    plan = make_plan(
        with_results(
            {"type": "grid", "x": "curriculum.kappa", "lines": "curriculum.beta"},
            grid=grid,
            settings={"curriculum.type": "adaptive"},
        )
    )
    varied = [{"curriculum.beta": beta, "curriculum.kappa": kappa} for beta in (0.1, 0.9) for kappa in (0.3, 0.6)]
    write_results(plan, Findings(score_rows({"tuned": 400}, varied=varied), pd.DataFrame()), tmp_path)
    figure = figures["grid.png"]
    assert lines(figure, 0) == {"β = 0.1": ([0.3, 0.6], [1, 6]), "β = 0.9": ([0.3, 0.6], [11, 16])}
    heat = figure.axes[3]
    np.testing.assert_array_equal(heat.get_images()[0].get_array(), [[11, 16], [21, 26]])
    assert [text.get_text() for text in heat.get_xticklabels()] == ["0.3", "0.6"]
    assert [text.get_text() for text in heat.get_yticklabels()] == ["0.1", "0.9"]


def test_a_matrix_has_arms_from_the_top(make_plan: MakePlan, tmp_path: Path, figures: dict[str, Figure]) -> None:
    plan = make_plan(with_results({"type": "matrix"}))
    write_results(plan, Findings(score_rows(ARMS), curve_rows(["tuned"])), tmp_path)
    axes = figures["matrix.png"].axes[0]
    np.testing.assert_array_equal(axes.get_images()[0].get_array(), [[101, 111, 121], [1, 11, 21]])
    assert [text.get_text() for text in axes.get_yticklabels()] == ["tuned", "offline"]
    assert axes.get_title() == "normalised score"


def test_mean_q_says_where_a_match_was_missed(make_plan: MakePlan, tmp_path: Path) -> None:
    plan = make_plan(with_results({"type": "mean_q"}))
    # the mean of the second and third evaluation's q: adaptive 0.7 and 0.3, linear 0.525 and 0.2955
    rows = [
        {"arm": arm, "robot": "hopper", "seed": seed, "env_steps": 200 * k, "q": q, "q_max": q_max, "match": match}
        for arm, seed, q_max, match, values in [
            ("adaptive", 0, np.nan, "", (0.0, 0.6, 0.8)),
            ("adaptive", 1, np.nan, "", (0.0, 0.2, 0.4)),
            ("linear", 0, 1.0, "adaptive", (0.0, 0.35, 0.7)),
            ("linear", 1, 0.4, "adaptive", (0.0, 0.2, 0.391)),
        ]
        for k, q in enumerate(values)
    ]
    (section,) = write_results(plan, Findings(score_rows(ARMS), pd.DataFrame(rows)), tmp_path)
    assert "0.01" in section.title
    assert section.text.splitlines()[2:6] == [
        "| adaptive | 0 | – | 0.700 | – |",
        "| adaptive | 1 | – | 0.300 | – |",
        "| linear | 0 | 1.000 | 0.525 | 0.700 (missed) |",
        "| linear | 1 | 0.400 | 0.295 | 0.300 |",
    ]
    assert "with q_max = 1 a linear q has a mean of hardly more than 0.5" in section.text
    assert pd.read_csv(tmp_path / "mean_q.csv")["wanted"].tolist()[2:] == pytest.approx([0.7, 0.3])


def test_convergence_is_measured_against_its_own_end_and_the_reference(make_plan: MakePlan, tmp_path: Path) -> None:
    plan = make_plan(with_results({"type": "convergence", "reference": "fast"}, arms={"slow": {}, "fast": {}}))
    rows = [
        {"arm": arm, "robot": "hopper", "seed": seed, "env_steps": 100 * k, "q": 0.5}
        | dict.fromkeys(CONDITIONS, float(score))
        for arm, seed, scores in [
            ("fast", 0, [0, *[100] * 9]),
            ("fast", 1, [100] * 10),
            ("slow", 0, [*[0] * 9, 50]),
            ("slow", 1, [0, *[100] * 9]),
        ]
        for k, score in enumerate(scores)
    ]
    (section,) = write_results(plan, Findings(score_rows({"fast": 400}), pd.DataFrame(rows)), tmp_path)
    # smoothed over five, fast run 0 is 0, 50, 66.7, 75, 80, 100, …: over 90 from 500 on; slow run 0 has just got to 10
    assert "| fast | 100.0 | 250 (500, 0) | 250 (500, 0) |" in section.text
    assert "| slow | 55.0 | ∞ (∞, 500) | ∞ (∞, 500) |" in section.text
    cells = pd.read_csv(tmp_path / "convergence.csv").set_index(["arm", "seed"])
    assert cells.loc[("slow", 0), "final"] == 10
    assert np.isinf(cells.loc[("slow", 0), "steps_to_reference"])


def test_figures_are_rendered_as_png_and_svg(make_plan: MakePlan, tmp_path: Path) -> None:
    assert sheet.save_figure is plots.save_figure
    write_results(make_plan(with_results({"type": "matrix"})), Findings(score_rows(ARMS), pd.DataFrame()), tmp_path)
    assert (tmp_path / "matrix.png").read_bytes().startswith(b"\x89PNG")
    assert "tested under" in (tmp_path / "matrix.svg").read_text()


def test_a_condition_that_few_arms_were_validated_under_has_their_lines_alone(
    make_plan: MakePlan, tmp_path: Path, figures: dict[str, Figure]
) -> None:
    plan = make_plan(with_results({"type": "curves"}, conditions=["normal", "pgd"]))
    curves = curve_rows(["static", "stepwise"])
    curves.loc[curves["arm"] == "stepwise", "pgd"] = 5.0
    write_results(plan, Findings(score_rows(ARMS), curves), tmp_path)
    assert lines(figures["learning_curves.png"], 1) == {"stepwise": ([0, 200, 400], [5, 5, 5])}


def test_attackers_are_drawn_against_their_steps(tmp_path: Path, figures: dict[str, Figure]) -> None:
    study = AttackersSettings.model_validate(
        {"type": "attackers", "title": "Attackers", "optimizers": ["DE", "CMA"], "scales": {"tiny": BUDGET}}
    )
    rows = [
        {"optimizer": optimizer, "seed": seed, "generation": k, "environment_steps": 400 * k + 100 * seed}
        | {"fitness": 0.0, "candidates": 40 + 10 * seed}
        | {"return": first - 10 * k + seed, "delta": [0.1], "robot": "hopper", "run": 0}
        for optimizer, first in (("DE", 100), ("CMA", 200))
        for seed in (0, 2)
        for k in (1, 2, 3)
    ]
    sections = attackers.write_comparison(pd.DataFrame(rows), study, study.scales["tiny"], tmp_path)
    # at 1000 steps both generations are known: 80 and 82 for DE, so 81 ± 1
    # and what the third generation costs beyond the budget is spent; 40 and 60 candidates
    assert "| robot | optimizer | return | searches | steps spent | candidates |" in sections[0].text
    assert "| hopper | DE | 81.0 ± 1.0 | 2 | 1,300 | 50 |" in sections[0].text
    steps, returns = lines(figures["attackers.png"], 0)["CMA"]
    assert (steps[0], steps[-1]) == (600, 1000)  # both searches have finished a generation by then
    assert (returns[0], returns[-1]) == (191, 181)
    assert (tmp_path / "table.tex").exists()
    written = pd.read_csv(tmp_path / "comparison.csv")
    assert [json.loads(delta) for delta in written["delta"]] == [[0.1]] * 12
