"""Stage: every policy of the experiment under every condition."""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from afrl_ray.attacks import AttackBank
from afrl_ray.evaluation.evaluate import evaluate
from afrl_ray.evaluation.plots import learning_curves, save_figure
from afrl_ray.evaluation.statistics import Estimate, Summary, summarise
from afrl_ray.evaluation.tables import (
    markdown_table,
    read_scores,
    scores_file,
    write_markdown,
    write_scores,
    write_summary,
)
from afrl_ray.networks import Policy, load_policy_file
from afrl_ray.perturbations import Body
from afrl_ray.pipeline.artifacts import Stage, read_json
from afrl_ray.pipeline.attack import evaluation_banks, make_bank_file
from afrl_ray.pipeline.cluster import connect
from afrl_ray.pipeline.conditions import EvaluatedConditions
from afrl_ray.pipeline.experiment import Experiment
from afrl_ray.pipeline.finetune import best_trial, learning_curves_table, trial_outcomes
from afrl_ray.pipeline.pretrain import offline_critic, offline_policy
from afrl_ray.pipeline.progress import progress, say
from afrl_ray.pipeline.runs.names import file_names
from afrl_ray.rollouts import DistributedRollouts

OFFLINE = "offline"
SCORES, SUMMARY, TABLE, CURVES = "scores", "summary.json", "table.md", "curves.png"
_MEASURED = "measured"
"""Folder of the policies' rows until there are those of all."""


def evaluation_stage(experiment: Experiment, attack: Stage, finetune: Stage) -> Stage:
    return experiment.stage("evaluation", "evaluation", {"attack": attack.key, "finetune": finetune.key})


def evaluate_experiment(experiment: Experiment, pretrain: Stage, attack: Stage, finetune: Stage) -> Stage:
    """Measure the offline policy and every trial's best policy; write scores, summary, table and figure."""
    stage, settings = evaluation_stage(experiment, attack, finetune), experiment.settings
    if stage.finished():
        say(f"evaluation: kept, {stage.location}")
        return stage
    stage.begin()
    connect(settings.runtime)
    outcomes = trial_outcomes(experiment, finetune)
    policies = {OFFLINE: offline_policy(pretrain)}
    policies |= {outcome.name: load_policy_file(outcome.policy)[0] for outcome in outcomes}
    attacked = {name: policy for name, policy in policies.items() if name != OFFLINE}
    attacks_afresh = settings.evaluation.adaptive_attack
    body = Body.of(policies[OFFLINE])
    banks = adaptive_banks(experiment, attacked, stage.directory, stage.keep, body) if attacks_afresh else {}
    conditions = EvaluatedConditions(experiment, evaluation_banks(experiment, pretrain), offline_critic(pretrain), body)
    with experiment.tracker.child_run("evaluation") as run:
        scores = measure(policies, conditions, banks, stage.directory / _MEASURED, stage.keep)
        summary = write_results(scores, stage.directory)
        offline = {condition: estimate["mean"] for condition, estimate in summary[OFFLINE].items()}
        curves = learning_curves_table({outcome.name: outcome.curve() for outcome in outcomes})
        curves.to_csv(stage.directory / "curves.csv", index=False)
        label = "Normalised score (expert = 100)" if experiment.robot else "Return"
        figure = learning_curves(curves, offline, title=settings.name, score_label=label)
        save_figure(figure, stage.directory / CURVES)
        for name in (f"{SCORES}.parquet", f"{SCORES}.csv", SUMMARY, TABLE, CURVES, "curves.csv"):
            run.log_artifact(stage.directory / name)
        best = best_trial(finetune)
        run.log_metrics({**_named("offline", summary[OFFLINE]), **_named("test", summary[best])}, step=0)
    for outcome in outcomes:
        run = experiment.tracker.child_run(outcome.run.stage.directory.name, name=outcome.name)
        run.log_metrics(_named("test", summary[outcome.name]), step=outcome.best_env_steps)
    experiment.tracker.flush()
    shutil.rmtree(stage.directory / _MEASURED)
    stage.finish({"summary": summary, "best": best}, settings.seed)
    return stage


def measure(
    policies: Mapping[str, Policy],
    conditions: EvaluatedConditions,
    adaptive_banks: Mapping[str, AttackBank],
    measured: Path | None = None,
    keep: Callable[[], None] = lambda: None,
) -> pd.DataFrame:
    """Rows of `evaluate` for every policy: the configured conditions, and each policy's adaptive attack if it has one.

    Each policy's rows are written into the folder `measured`, and those that are there already are not measured again;
    `keep` makes them safe.

    Raises:
        ValueError: a condition needs a bank or a critic that is not there.
    """
    tables, files = [], file_names(policies)
    with progress("evaluation", len(policies), "policies") as report:
        for done, (name, policy) in enumerate(policies.items()):
            report.update(done, name)
            file = None if measured is None else measured / files[name]
            if file is not None and scores_file(file).exists():
                tables.append(read_scores(file))
                continue
            tables.append(_measure_one(name, policy, conditions, adaptive_banks.get(name)))
            if file is not None:
                write_scores(tables[-1], file)
                keep()
        report.update(len(policies))
    return pd.concat(tables, ignore_index=True)


def _measure_one(
    name: str, policy: Policy, conditions: EvaluatedConditions, adaptive_bank: AttackBank | None
) -> pd.DataFrame:
    experiment, settings = conditions.experiment, conditions.experiment.settings
    runtime = settings.runtime
    runner = DistributedRollouts(policy, settings.environment, runtime.attack_workers, runtime.resources.evaluation)
    return evaluate(runner, conditions.episodes(policy, adaptive_bank), policy=name, robot=experiment.robot)


def write_results(scores: pd.DataFrame, directory: Path) -> Summary:
    """Write scores.parquet, scores.csv, summary.json and table.md into `directory`; returns the summary."""
    directory.mkdir(parents=True, exist_ok=True)
    summary = summarise(scores)
    write_scores(scores, directory / SCORES)
    write_summary(summary, directory / SUMMARY)
    write_markdown(markdown_table(summary), directory / TABLE)
    return summary


def read_summary(stage: Stage) -> dict[str, Any]:
    """summary.json of a finished evaluation."""
    return dict(read_json(stage.directory / SUMMARY))


def adaptive_banks(
    experiment: Experiment,
    policies: Mapping[str, Policy],
    directory: Path,
    keep: Callable[[], None] = lambda: None,
    body: Body | None = None,
) -> dict[str, AttackBank]:
    """A fresh attack on each policy, written into the results in `directory`; an interrupted one goes on where it was.

    `keep` makes each of them safe. The attacks are on `body` as faults know it, each policy's own where None.
    """
    banks, files = {}, file_names(policies)
    for name, policy in policies.items():
        path = adaptive_banks_directory(directory) / f"{files[name]}.npz"
        if not path.exists():
            count = experiment.settings.evaluation.adaptive_searches
            make_bank_file(path, experiment, policy, f"adaptive {name}", count, keep=keep, body=body)
        banks[name] = AttackBank.load(path)
    return banks


def adaptive_banks_directory(directory: Path) -> Path:
    """Where in the results in `directory` the banks of all fresh attacks lie."""
    return directory / "adaptive_banks"


def _named(prefix: str, estimates: Mapping[str, Estimate]) -> dict[str, float]:
    return {f"{prefix}/{condition}": estimate["mean"] for condition, estimate in estimates.items()}
