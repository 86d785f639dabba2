"""Whole studies: everything they share is made once, then their tables and figures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from afrl_ray.config.study import AttackersBudget, AttackersSettings, StudyBudget, StudySettings
from afrl_ray.pipeline.alone import alone_in
from afrl_ray.pipeline.cluster import cluster_address, connect
from afrl_ray.pipeline.experiment import STAGES, pinned
from afrl_ray.pipeline.mirror import Mirror
from afrl_ray.pipeline.progress import say
from afrl_ray.pipeline.run import refuse_a_database_of_one_node, require_folder
from afrl_ray.pipeline.runs.steering import Steering
from afrl_ray.pipeline.runs.train import train
from afrl_ray.pipeline.shared_storage import require_shared
from afrl_ray.storage import require_writable
from afrl_ray.studies.attackers import compare, comparison_stage, write_comparison
from afrl_ray.studies.collect import collect, foundation_of, outcome_of, run_of, stages_of
from afrl_ray.studies.earlier import Earlier, earlier_results, joined
from afrl_ray.studies.expand import expand, robot_label
from afrl_ray.studies.files import short_name
from afrl_ray.studies.foundations import make_banks, make_pretrained, refuse_replaced_data
from afrl_ray.studies.look_ahead import look_ahead
from afrl_ray.studies.measure import measure_all
from afrl_ray.studies.plan import Case, Plan
from afrl_ray.studies.report import REPORT, Origin, begin_results, require_results_folder, write_report
from afrl_ray.studies.results import write_results
from afrl_ray.telemetry import bind, configure_logs, job_of
from afrl_ray.telemetry.board import board


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
        return _location(self.plan)


def reproduce(plans: Sequence[Plan]) -> list[Reproduced]:
    """Run all cases of all plans that are not finished yet, and write the results of every study.

    All plans have the same output folder. What is finished is kept, what was interrupted goes on.

    Raises:
        ConfigError: an arm's settings do not fit.
        FileNotFoundError, ValueError: there are no data to learn from, no such optimizer or fault, the output folder
            is a file, or a cluster's nodes do not all see it.
        TrialsFailedError: the others are kept.
        BlockingIOError: another process is at work in the output folder.
    """
    cases = {plan.name: expand(plan) for plan in plans}
    earlier = _earlier(plans, cases)
    left = {name: _without(found, earlier.get(name)) for name, found in cases.items()}
    every = [case for found in left.values() for case in found]
    trained = [case for plan in plans if isinstance(plan.study, StudySettings) for case in left[plan.name]]
    output = plans[0].output
    require_folder(output, "--output ")
    for plan in plans:
        if plan.uri is None:
            require_results_folder(results_directory(plan))
    store = stage_store(output)
    first = cases[plans[0].name][0]
    runtime = first.settings.runtime
    configure_logs(runtime.log_format)
    bind(job=job_of(short_name(plans[0].name)))
    board.clear()
    board.expect("pretrain", "attack", "finetune", "results")
    look_ahead(left, plans, store)
    if cluster_address(runtime):
        connect(runtime)
        refuse_a_database_of_one_node(pinned(first.settings))
        require_shared(plans[0].location)
    elif plans[0].uri is not None:
        require_writable(plans[0].uri)
    with alone_in(output):
        refuse_replaced_data(foundation_of(case, store) for case in every)
        tracker = foundation_of(first, store).experiment.tracker
        with tracker.parent_run({"studies": ", ".join(cases), "scale": plans[0].scale_name}):
            with board.stage("pretrain"):
                make_pretrained(foundation_of(case, store) for case in every)
            with board.stage("attack"):
                make_banks(foundation_of(case, store) for case in trained)
            with board.stage("finetune"):
                for matching in (False, True):  # what copies another's mean q comes after it
                    runs = [run_of(case, store) for case in trained if case.trained and bool(case.match) == matching]
                    train(Steering(runs), tracker, f"{plans[0].location}/{STAGES}")
            with board.stage("results"):
                return [_finish(plan, cases[plan.name], store, earlier.get(plan.name)) for plan in plans]


def stage_store(output: Path) -> Path:
    """Where the stages of all studies in `output` are."""
    return output / STAGES


def results_directory(plan: Plan) -> Path:
    """Where the study's results are: its own folder, with the robots' labels where they were chosen."""
    name = "-".join([short_name(plan.name), *dict.fromkeys(map(robot_label, plan.robots))])
    return plan.output / short_name(plan.scale_name) / name


def _earlier(plans: Sequence[Plan], cases: Mapping[str, Sequence[Case]]) -> dict[str, Earlier]:
    """What the plans reuse, by study.

    Raises:
        ValueError: there are no results to reuse, or of something else, or where the new ones go.
    """
    reusing = [plan for plan in plans if plan.reuse is not None]
    found = {}
    for plan in reusing:
        folder, results = plan.reuse / results_directory(plan).name, results_directory(plan)
        if plan.uri is None and folder.resolve() == results.resolve():
            raise ValueError(f"--reuse {plan.reuse}: results are written there; write --output with another folder")
        earlier = earlier_results(plan, cases[plan.name], folder)
        taken, of_all = len(earlier.cases) if earlier is not None else 0, len(cases[plan.name])
        say(f"{plan.name}: {taken} cases are taken from {folder}, {of_all - taken} are run")
        if earlier is not None:
            found[plan.name] = earlier
    if reusing and not found:
        names = ", ".join(results_directory(plan).name for plan in reusing)
        raise ValueError(f"--reuse {reusing[0].reuse} has no results of trainings in a folder {names}")
    return found


def _without(cases: Sequence[Case], earlier: Earlier | None) -> list[Case]:
    names = {case.name for case in earlier.cases} if earlier is not None else set()
    return [case for case in cases if case.name not in names]


def _location(plan: Plan) -> str:
    return f"{plan.location}/{results_directory(plan).relative_to(plan.output).as_posix()}"


def _finish(plan: Plan, cases: Sequence[Case], store: Path, earlier: Earlier | None) -> Reproduced:
    """Measure what is left to measure, and write the results."""
    directory = results_directory(plan)
    mirror = Mirror(_location(plan)) if plan.uri is not None else None
    begin_results(directory, plan, cases, mirror)
    match plan.study, plan.budget:
        case StudySettings() as study, StudyBudget() as budget:
            outcomes = [outcome_of(case, store) for case in _without(cases, earlier)]
            settings = {outcome.case.name: outcome.settings.model_dump(mode="json") for outcome in outcomes}
            measure_all((subject for outcome in outcomes for _, _, subject in outcome.policies), study.conditions)
            stages = [stage for outcome in outcomes for stage in stages_of(study, outcome)]
            findings = [collect(study, outcomes)]
            if earlier is not None:
                settings |= earlier.settings
                findings.append(earlier.findings)
            sections = write_results(study, budget, joined(cases, *findings), directory)
        case AttackersSettings() as study, AttackersBudget() as budget:
            settings = {case.name: case.settings.model_dump(mode="json") for case in cases}
            rows = pd.concat([compare(case, study, budget, store) for case in cases], ignore_index=True)
            foundations = [foundation_of(case, store) for case in cases]
            stages = [comparison_stage(foundation, study, budget) for foundation in foundations]
            stages += [stage for foundation in foundations for stage in (foundation.data, foundation.pretrain)]
            sections = write_comparison(rows, study, budget, directory)
        case other:
            raise TypeError(f"not a study: {other!r}")
    write_report(plan, cases, Origin(settings, stages, earlier), sections, directory)
    if mirror is not None:
        mirror.publish(directory, "results")
    done = Reproduced(plan, directory)
    say(f"{plan.name}: {done.location}/{REPORT}")
    return done
