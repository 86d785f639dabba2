"""Results that are reused: which runs they are of, and what is said of where they came from."""

import itertools
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from afrl_ray.config.study import AttackersSettings, StudyBudget, StudySettings
from afrl_ray.studies.collect import POLICY_KINDS, Findings
from afrl_ray.studies.earlier import Earlier, earlier_results, joined
from afrl_ray.studies.expand import expand
from afrl_ray.studies.plan import Case, Plan
from afrl_ray.studies.report import Origin, begin_results, write_report
from afrl_ray.studies.results import write_results

MakePlan = Callable[..., Plan]
GRID = {"grid": {"curriculum.q": [0.25, 0.5]}, "arms": {"tuned": {}}, "results": []}


def findings(cases: Sequence[Case], late: int = 0) -> Findings:
    """Of every case all episodes, of each trained one all evaluations; numbers that only exact text brings back."""
    conditions, scores, curves = ("normal", "random", "adversarial"), [], []
    for number, case in enumerate(cases):
        labels = {"arm": case.arm, "robot": case.robot, "seed": case.seed, **case.varied}
        episodes = range(case.settings.evaluation.episodes)
        for policy, condition, step, episode in itertools.product(
            POLICY_KINDS, conditions, case.reads if case.trained else [0], episodes
        ):
            own = {"policy": policy, "condition": condition, "step": step, "episode": episode}
            own |= {"return": 10.0 * number, "normalised_score": number / 3, "data": np.nan}
            scores.append({**labels, **own, "delta": [0.1, 0.2]})
        interval = case.settings.finetune.evaluation_interval
        for step in range(0, case.steps + 1, interval) if case.trained else ():
            own = {"env_steps": step and step + late, "q": 1 / (number + 3), "q_max": np.nan, "match": ""}
            curves.append({**labels, **own, **dict.fromkeys(conditions, step / 7)})
    return Findings(pd.DataFrame(scores), pd.DataFrame(curves))


def write(plan: Plan, directory: Path, earlier: Earlier | None = None, late: int = 0) -> list[Case]:
    """The results of `plan` without its tables, as though all its cases had been run, but for those of `earlier`."""
    cases = expand(plan)
    begin_results(directory, plan, cases)
    assert isinstance(plan.study, StudySettings)
    assert isinstance(plan.budget, StudyBudget)
    write_results(plan.study.model_copy(update={"results": []}), plan.budget, findings(cases, late), directory)
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


def test_arms_that_are_matched_to_others_are_other_results(make_plan: MakePlan, tmp_path: Path) -> None:
    def matched_to(arm: str) -> Plan:
        linear = {"settings": {"curriculum": {"type": "linear"}}, "match_mean_q": arm}
        arms = {"fixed": {}, "often": {"settings": {"curriculum.q": 0.75}}, "linear": linear}
        return make_plan({"arms": arms, "results": []})

    write(matched_to("fixed"), tmp_path / "mine")
    assert earlier_results(matched_to("fixed"), expand(matched_to("fixed")), tmp_path / "mine") is not None
    with pytest.raises(ValueError, match="has no robot's seed"):
        earlier_results(matched_to("often"), expand(matched_to("often")), tmp_path / "mine")
    write(matched_to("often"), tmp_path / "mine")
    assert list(tmp_path.glob("mine.replaced-*"))


def test_names_and_values_come_back_as_they_were(make_plan: MakePlan, tmp_path: Path) -> None:
    plan = make_plan({"arms": {"NA": {}, "1": {"settings": {"curriculum.q": 0.75}}}, "results": []})
    cases = write(plan, tmp_path / "mine")
    earlier = earlier_results(plan, expand(plan), tmp_path / "mine")
    assert earlier is not None
    assert list(dict.fromkeys(earlier.findings.curves["arm"])) == ["NA", "1"]
    pd.testing.assert_frame_equal(earlier.findings.curves, findings(cases).curves, check_exact=True)


def rewrite_json(name: str, value: Any) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        facts = json.loads((folder / "study.json").read_text())
        facts.pop(name)
        (folder / "study.json").write_text(json.dumps({**facts, **({} if value is None else {name: value})}))

    return damage


def keep_half(name: str) -> Callable[[Path], None]:
    """Of a table's rows."""

    def damage(folder: Path) -> None:
        if name.endswith("parquet"):
            rows = pd.read_parquet(folder / name)
            rows.head(len(rows) // 2).to_parquet(folder / name)
        else:
            lines = (folder / name).read_text().splitlines(keepends=True)
            (folder / name).write_text("".join(lines[: 1 + len(lines) // 2]))

    return damage


def change(name: str, edit: Callable[[pd.DataFrame], pd.DataFrame]) -> Callable[[Path], None]:
    """A table's rows."""

    def damage(folder: Path) -> None:
        if name.endswith("parquet"):
            edit(pd.read_parquet(folder / name)).to_parquet(folder / name)
        else:
            edit(pd.read_csv(folder / name)).to_csv(folder / name, index=False)

    return damage


@pytest.mark.parametrize(
    ("damage", "what"),
    [
        (lambda folder: (folder / "curves.csv").unlink(), "curves.csv"),
        (lambda folder: (folder / "scores.parquet").unlink(), "scores.parquet"),
        (lambda folder: (folder / "curves.csv").write_text(""), "No columns"),
        (lambda folder: (folder / "curves.csv").write_text("arm,robot\n1,2\n"), "seed"),
        (lambda folder: (folder / "scores.parquet").write_bytes(b"PAR1"), "Parquet"),
        (lambda folder: (folder / "study.json").write_text("{"), "Expecting"),
        (lambda folder: (folder / "study.json").write_text("[]"), "list"),
        (rewrite_json("made of", None), "'made of' is missing"),
        (rewrite_json("settings", {}), "'hopper 0 offline' is missing"),
        (rewrite_json("commits of the work", None), "'commits of the work' is missing"),
        (rewrite_json("made of", {"drawn": {}, "size": {}}), "'cases' is missing"),
        (rewrite_json("made of", []), "list indices"),
        (rewrite_json("commits of the work", [None]), "commits of the work"),
        (change("scores.parquet", lambda rows: rows.drop(columns="return")), "'return' is missing"),
        (change("scores.parquet", lambda rows: rows.assign(step="x")), "scores.parquet has no numbers in column step"),
        (
            change("scores.parquet", lambda rows: rows.assign(episode=rows["episode"].replace(1, 0))),
            "scores.parquet does not have all rows of hopper 0 offline",
        ),
        (
            change("scores.parquet", lambda rows: rows.assign(policy="final")),
            "scores.parquet does not have all rows of hopper 0 offline",
        ),
        (
            change("scores.parquet", lambda rows: rows.assign(condition=rows["condition"].replace("random", "normal"))),
            "scores.parquet does not have all rows of hopper 0 offline",
        ),
        (change("curves.csv", lambda rows: rows.drop(columns="q")), "'q' is missing"),
        (change("curves.csv", lambda rows: rows.drop(columns="adversarial")), "'adversarial' is missing"),
        (change("curves.csv", lambda rows: rows[rows["env_steps"] != 100]), "curves.csv does not have all rows of"),
        (
            change("curves.csv", lambda rows: rows.assign(env_steps=rows["env_steps"].replace(100, 200))),
            "curves.csv does not have all rows of hopper 0 tuned",
        ),
        (keep_half("scores.parquet"), "scores.parquet does not have all rows of hopper 1 offline"),
        (keep_half("curves.csv"), "curves.csv does not have all rows of hopper 1 tuned"),
    ],
)
def test_damaged_results_are_refused_in_one_line(
    damage: Callable[[Path], None], what: str, make_plan: MakePlan, tmp_path: Path
) -> None:
    plan = make_plan()
    write(plan, tmp_path / "mine")
    damage(tmp_path / "mine")
    with pytest.raises(ValueError, match=re.escape(what)) as failure:
        earlier_results(plan, expand(plan), tmp_path / "mine")
    assert str(failure.value).startswith(f"{tmp_path / 'mine'} holds damaged results: ")
    assert "\n" not in str(failure.value)


def test_only_finished_results_of_trainings_are_reused(make_plan: MakePlan, tmp_path: Path) -> None:
    plan = make_plan()
    assert earlier_results(plan, expand(plan), tmp_path / "mine") is None
    begin_results(tmp_path / "mine", plan, expand(plan))
    with pytest.raises(ValueError, match="never finished"):
        earlier_results(plan, expand(plan), tmp_path / "mine")
    write(plan, tmp_path / "mine")
    size = {"step_budget": 1000, "searches": 2}
    study = AttackersSettings.model_validate(
        {"type": "attackers", "title": "A", "optimizers": ["DE"], "scales": {"tiny": size}}
    )
    attackers = Plan("mine", study, "tiny", plan.scale, tmp_path)
    assert earlier_results(attackers, expand(attackers), tmp_path / "mine") is None


def test_findings_are_joined_in_the_order_of_the_cases(make_plan: MakePlan) -> None:
    cases = expand(make_plan(seeds=3))
    first, others = [case for case in cases if case.seed != 1], [case for case in cases if case.seed == 1]
    both = joined(cases, findings(others), findings(first))
    order = dict.fromkeys(zip(both.scores["arm"], both.scores["seed"], strict=True))
    assert list(order) == [(case.arm, case.seed) for case in cases]
    assert len(both.scores) == len(cases) * 2 * 3 * 100
    assert list(both.curves["seed"]) == [seed for seed in range(3) for _ in range(5)]
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


def test_evaluations_that_came_late_are_all_there(make_plan: MakePlan, tmp_path: Path) -> None:
    plan = make_plan()
    write(plan, tmp_path / "mine", late=2)
    earlier = earlier_results(plan, expand(plan), tmp_path / "mine")
    assert earlier is not None
    assert list(earlier.findings.curves["env_steps"][:5]) == [0, 102, 202, 302, 402]
