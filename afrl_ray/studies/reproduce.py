"""Whole studies: everything they share is made once, then their tables and figures."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from afrl_ray.config.location import without_passwords
from afrl_ray.config.study import AttackersBudget, AttackersSettings, StudyBudget, StudySettings
from afrl_ray.evaluation.files import replacing
from afrl_ray.pipeline.alone import alone_in
from afrl_ray.pipeline.artifacts import command_line, git_commit, package_versions, write_json
from afrl_ray.pipeline.cluster import cluster_address, connect
from afrl_ray.pipeline.experiment import STAGES, pinned
from afrl_ray.pipeline.mirror import Mirror
from afrl_ray.pipeline.progress import say
from afrl_ray.pipeline.run import refuse_a_database_of_one_node
from afrl_ray.pipeline.shared_storage import require_shared
from afrl_ray.storage import require_writable
from afrl_ray.studies.arms import arms_section
from afrl_ray.studies.attackers import compare, write_comparison
from afrl_ray.studies.collect import collect, foundation_of, run_of, subjects_of
from afrl_ray.studies.expand import Case, Plan, expand, robot_label
from afrl_ray.studies.files import short_name
from afrl_ray.studies.foundations import make_banks, make_pretrained
from afrl_ray.studies.look_ahead import look_ahead
from afrl_ray.studies.measure import measure_all
from afrl_ray.studies.results import write_results
from afrl_ray.studies.sheet import Section
from afrl_ray.studies.train import NamedRun, train
from afrl_ray.telemetry import bind, configure_logs, job_of
from afrl_ray.telemetry.board import board

REPORT = "report.md"


@dataclass(frozen=True)
class Reproduced:
    """A study whose results are written."""

    plan: Plan
    directory: Path

    @property
    def report(self) -> Path:
        return self.directory / REPORT

    @property
    def location(self) -> str:
        """The folder or URI of its results."""
        return f"{self.plan.location}/{self.directory.relative_to(self.plan.output).as_posix()}"


def reproduce(plans: Sequence[Plan]) -> list[Reproduced]:
    """Run all cases of all plans that are not finished yet, and write the results of every study.

    All plans have the same output folder. What is finished is kept, what was interrupted goes on.

    Raises:
        ConfigError: an arm's settings do not fit.
        FileNotFoundError, ValueError: there are no data to learn from, no such optimizer or fault, or a cluster's nodes
            do not all see the folder.
        TrialsFailedError: the others are kept.
        BlockingIOError: another process is at work in the output folder.
    """
    cases = {plan.name: expand(plan) for plan in plans}
    every = [case for found in cases.values() for case in found]
    trained = [case for plan in plans if isinstance(plan.study, StudySettings) for case in cases[plan.name]]
    output = plans[0].output
    store = stage_store(output)
    runtime = every[0].settings.runtime
    configure_logs(runtime.log_format)
    bind(job=job_of(short_name(plans[0].name)))
    board.clear()
    board.expect("pretrain", "attack", "finetune", "results")
    look_ahead(cases, plans, store)
    if cluster_address(runtime):
        connect(runtime)
        refuse_a_database_of_one_node(pinned(every[0].settings))
        require_shared(plans[0].location)
    elif plans[0].uri is not None:
        require_writable(plans[0].uri)
    with alone_in(output):
        tracker = foundation_of(every[0], store).experiment.tracker
        with tracker.parent_run({"studies": ", ".join(cases), "scale": plans[0].scale_name}):
            with board.stage("pretrain"):
                make_pretrained(foundation_of(case, store) for case in every)
            with board.stage("attack"):
                make_banks(foundation_of(case, store) for case in trained)
            with board.stage("finetune"):
                for matching in (False, True):  # what copies another's mean q comes after it
                    runs = [_named(case, store) for case in trained if case.trained and bool(case.match) == matching]
                    train(runs, tracker, f"{plans[0].location}/tune")
            with board.stage("results"):
                return [_finish(plan, cases[plan.name], store) for plan in plans]


def stage_store(output: Path) -> Path:
    """Where the stages of all studies in `output` are."""
    return output / STAGES


def results_directory(plan: Plan) -> Path:
    """Where the study's results are: its own folder, with the robots' labels where they were chosen."""
    name = "-".join([short_name(plan.name), *dict.fromkeys(map(robot_label, plan.robots))])
    return plan.output / short_name(plan.scale_name) / name


def _named(case: Case, store: Path) -> NamedRun:
    return NamedRun(run_of(case, store), f"{case.robot} {case.seed} {case.arm}", case.varied)


def _finish(plan: Plan, cases: Sequence[Case], store: Path) -> Reproduced:
    """Measure what is left to measure, and write the results."""
    directory = results_directory(plan)
    match plan.study, plan.budget:
        case StudySettings() as study, StudyBudget() as budget:
            subjects = (subject for case in cases for _, _, subject in subjects_of(case, store))
            measure_all(subjects, study.conditions)
            sections = write_results(study, budget, collect(study, cases, store), directory)
        case AttackersSettings() as study, AttackersBudget() as budget:
            rows = pd.concat([compare(case, study, budget, store) for case in cases], ignore_index=True)
            sections = write_comparison(rows, study, budget, directory)
        case other:
            raise TypeError(f"not a study: {other!r}")
    _write_report(plan, cases, store, sections, directory)
    done = Reproduced(plan, directory)
    if plan.uri is not None:
        Mirror(done.location).publish(directory, "results")
    say(f"{plan.name}: {done.location}/{REPORT}")
    return done


def _write_report(plan: Plan, cases: Sequence[Case], store: Path, sections: Sequence[Section], directory: Path) -> None:
    """report.md, which shows all results, and study.json, which says what they came from."""
    seeds, robots = sorted({case.seed for case in cases}), list(dict.fromkeys(case.robot for case in cases))
    facts: dict[str, Any] = {
        "study": plan.name,
        "scale": plan.scale_name,
        "command": command_line(),
        "commit": git_commit(),
        "robots": robots,
        "seeds": seeds,
        **_budget(plan),
        "offline updates": sorted({case.settings.pretrain.updates for case in cases}),
        "test episodes per condition": sorted({case.settings.evaluation.episodes for case in cases}),
        "settings changed on the command line": without_passwords(dict(plan.overrides)),
    }
    lines = [f"# {plan.study.title}", "", plan.study.source and f"Regenerates: {plan.study.source}.", ""]
    lines += [f"- {name}: {_shown(value)}" for name, value in facts.items() if value not in ({}, None)]
    for section in (*arms_section(plan), *sections):
        lines += ["", f"## {section.title}", "", section.text.rstrip()]
    with replacing(directory / REPORT) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
    runs = [run_of(case, store) for case in cases if case.trained]
    write_json(
        directory / "study.json",
        {
            **facts,
            "versions": package_versions(),
            "plan": plan.study.model_dump(mode="json"),
            "runs": {run.stage.directory.name: run.settings.model_dump(mode="json") for run in runs},
        },
    )


def _budget(plan: Plan) -> dict[str, int]:
    if isinstance(plan.budget, StudyBudget):
        return {"environment steps of each fine-tuning": plan.budget.steps}
    return {"environment steps of each search": plan.budget.step_budget, "searches": plan.budget.searches}


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(_shown(item) for item in value)
    return f"{value:,}" if isinstance(value, int) else str(value)
