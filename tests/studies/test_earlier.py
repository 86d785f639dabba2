"""Results that are reused: which runs they are of, and what is said of where they came from."""

import itertools
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from afrl_ray.config.study import AttackersSettings, StudyBudget, StudySettings
from afrl_ray.studies.collect import Findings
from afrl_ray.studies.earlier import Earlier, earlier_results, joined
from afrl_ray.studies.expand import expand
from afrl_ray.studies.plan import Case, Plan
from afrl_ray.studies.report import Origin, begin_results, write_report
from afrl_ray.studies.results import write_results

MakePlan = Callable[..., Plan]
GRID = {"grid": {"curriculum.q": [0.25, 0.5]}, "arms": {"tuned": {}}, "results": []}


def findings(cases: Sequence[Case], offset: float = 0.0) -> Findings:
    """Of every case an episode in each of two conditions, and of each trained one two evaluations."""
    scores, curves = [], []
    for number, case in enumerate(cases):
        labels = {"arm": case.arm, "robot": case.robot, "seed": case.seed, **case.varied}
        for condition in ("normal", "random"):
            scores.append(
                {**labels, "condition": condition, "normalised_score": number / 3 + offset, "delta": [0.1, 0.2]}
            )
        for step in (0, 400) if case.trained else ():
            curves.append({**labels, "env_steps": step, "q": 1 / (number + 3) + offset, "match": ""})
    return Findings(pd.DataFrame(scores), pd.DataFrame(curves))


def write(plan: Plan, directory: Path, earlier: Earlier | None = None) -> list[Case]:
    """The results of `plan` without its tables, as though all its cases had been run, but for those of `earlier`."""
    cases = expand(plan)
    begin_results(directory, plan, cases)
    assert isinstance(plan.study, StudySettings)
    assert isinstance(plan.budget, StudyBudget)
    write_results(plan.study.model_copy(update={"results": []}), plan.budget, findings(cases), directory)
    settings = {case.name: case.settings.model_dump(mode="json") for case in cases}
    write_report(plan, cases, Origin(settings, [], earlier), [], directory)
    return cases


def test_what_is_there_is_reused_as_it_is(make_plan: MakePlan, tmp_path: Path) -> None:
    cases = write(make_plan(GRID), tmp_path / "mine")
    earlier = earlier_results(make_plan(GRID, seeds=3), expand(make_plan(GRID, seeds=3)), tmp_path / "mine")
    assert earlier is not None
    assert [case.name for case in earlier.cases] == [case.name for case in cases]
    written = findings(cases)
    numbers = earlier.findings.scores.drop(columns="delta")
    pd.testing.assert_frame_equal(numbers, written.scores.drop(columns="delta"), check_exact=True, check_dtype=False)
    assert [list(delta) for delta in earlier.findings.scores["delta"]] == list(written.scores["delta"])
    pd.testing.assert_frame_equal(earlier.findings.curves, written.curves, check_exact=True)
    assert earlier.settings["hopper 1 tuned, q=0.5"]["seed"] == 1


def test_a_robot_s_seed_is_taken_whole(make_plan: MakePlan, tmp_path: Path) -> None:
    write(make_plan(seeds=1), tmp_path / "mine")
    more = make_plan({"arms": {"offline": {"trained": False}, "tuned": {}, "wide": {"presets": ["wide"]}}})
    with pytest.raises(ValueError, match=r"mine has no robot's seed with all runs of study mine and the same settings"):
        earlier_results(more, expand(more), tmp_path / "mine")
    two_robots = make_plan(robots=("ant", "hopper"))
    earlier = earlier_results(two_robots, expand(two_robots), tmp_path / "mine")
    assert earlier is not None
    assert [case.name for case in earlier.cases] == ["hopper 0 offline", "hopper 0 tuned"]


@pytest.mark.parametrize(
    ("study", "options", "message"),
    [
        ({"conditions": ["normal"]}, {}, "has other results or conditions than study mine at scale tiny"),
        ({"results": [{"type": "curves"}]}, {}, "has other results or conditions"),
        ({"scales": {"tiny": {"steps": 600}}}, {}, "has other steps than study mine"),
        ({}, {"overrides": {"finetune.num_envs": 2}}, "has no robot's seed"),
    ],
)
def test_other_results_are_refused(
    study: dict[str, Any], options: dict[str, Any], message: str, make_plan: MakePlan, tmp_path: Path
) -> None:
    write(make_plan(), tmp_path / "mine")
    other = make_plan(study, **options)
    with pytest.raises(ValueError, match=re.escape(message)):
        earlier_results(other, expand(other), tmp_path / "mine")


def test_only_finished_results_of_trainings_are_reused(make_plan: MakePlan, tmp_path: Path) -> None:
    plan = make_plan()
    assert earlier_results(plan, expand(plan), tmp_path / "mine") is None
    begin_results(tmp_path / "mine", plan, expand(plan))
    with pytest.raises(ValueError, match="never finished"):
        earlier_results(plan, expand(plan), tmp_path / "mine")
    size = {"step_budget": 1000, "searches": 2}
    study = AttackersSettings.model_validate(
        {"type": "attackers", "title": "A", "optimizers": ["DE"], "scales": {"tiny": size}}
    )
    attackers = Plan("mine", study, "tiny", plan.scale, tmp_path)
    with pytest.raises(ValueError, match="searches of attackers are not reused"):
        earlier_results(attackers, expand(attackers), tmp_path / "mine")


def test_findings_are_joined_in_the_order_of_the_cases(make_plan: MakePlan) -> None:
    cases = expand(make_plan(seeds=3))
    first, others = [case for case in cases if case.seed != 1], [case for case in cases if case.seed == 1]
    both = joined(cases, findings(others), findings(first))
    order = [(case.arm, case.seed) for case, _ in itertools.product(cases, range(2))]
    assert list(zip(both.scores["arm"], both.scores["seed"], strict=True)) == order
    assert list(both.curves["seed"]) == [0, 0, 1, 1, 2, 2]
    untrained = [case for case in cases if not case.trained]
    assert joined(untrained, findings(untrained), Findings(pd.DataFrame(), pd.DataFrame())).curves.empty


def test_the_report_says_who_made_the_runs_in_the_first_place(
    make_plan: MakePlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, seeds in enumerate((1, 2, 3), start=1):
        monkeypatch.setattr("sys.argv", ["afrl", "reproduce", f"number-{number}"])
        plan = make_plan(seeds=seeds)
        earlier = earlier_results(plan, expand(plan), tmp_path / f"{number - 1}")
        write(plan, tmp_path / f"{number}", earlier)
    facts = json.loads((tmp_path / "3/study.json").read_text())
    made = [(origin["runs"], origin["command"]) for origin in facts["earlier results"]]
    assert made == [(["hopper 0"], "afrl reproduce number-1"), (["hopper 1"], "afrl reproduce number-2")]
    assert facts["command"] == "afrl reproduce number-3"
    assert facts["earlier results"][0]["versions"] == facts["versions"]
    report = (tmp_path / "3/report.md").read_text()
    assert "- from earlier results: runs = [hopper 0]; command = afrl reproduce number-1; commit = " in report
    assert "from earlier results" not in (tmp_path / "1/report.md").read_text()
