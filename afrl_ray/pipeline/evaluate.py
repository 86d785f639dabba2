"""Stage: every policy of the experiment under every condition."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from afrl_ray.attacks import AttackBank
from afrl_ray.evaluation.evaluate import evaluate
from afrl_ray.evaluation.plots import learning_curves, save_figure
from afrl_ray.evaluation.statistics import Estimate, Summary, summarise
from afrl_ray.evaluation.tables import markdown_table, write_markdown, write_scores, write_summary
from afrl_ray.networks import Policy, load_policy_file
from afrl_ray.perturbations import Body
from afrl_ray.pipeline.artifacts import Stage, read_json
from afrl_ray.pipeline.attack import evaluation_banks, make_bank
from afrl_ray.pipeline.cluster import connect
from afrl_ray.pipeline.conditions import EvaluatedConditions
from afrl_ray.pipeline.experiment import Experiment
from afrl_ray.pipeline.finetune import best_trial, learning_curves_table, trial_outcomes
from afrl_ray.pipeline.pretrain import offline_critic, offline_policy
from afrl_ray.pipeline.progress import progress, say
from afrl_ray.pipeline.search import file_name
from afrl_ray.rollouts import DistributedRollouts

OFFLINE = "offline"
SCORES, SUMMARY, TABLE, CURVES = "scores", "summary.json", "table.md", "curves.png"


def evaluation_stage(experiment: Experiment, attack: Stage, finetune: Stage) -> Stage:
    return experiment.stage(
        "evaluation", {"evaluation", "attack", "perturbation"}, {"attack": attack.key, "finetune": finetune.key}
    )


def evaluate_experiment(experiment: Experiment, pretrain: Stage, attack: Stage, finetune: Stage) -> Stage:
    """Measure the offline policy and every trial's best policy; write scores, summary, table and figure."""
    stage, settings = evaluation_stage(experiment, attack, finetune), experiment.settings
    if stage.finished():
        say(f"evaluation: kept, {stage.location}")
        return stage
    stage.begin()
    connect(settings.runtime)
    outcomes = trial_outcomes(finetune)
    policies = {OFFLINE: offline_policy(pretrain)}
    policies |= {outcome.name: load_policy_file(outcome.policy)[0] for outcome in outcomes}
    attacked = {name: policy for name, policy in policies.items() if name != OFFLINE}
    attacks_afresh = settings.evaluation.adaptive_attack
    banks = adaptive_banks(experiment, attacked, stage.directory, stage.keep) if attacks_afresh else {}
    body = Body.of(policies[OFFLINE])
    conditions = EvaluatedConditions(experiment, evaluation_banks(experiment, pretrain), offline_critic(pretrain), body)
    with experiment.tracker.child_run("evaluation") as run:
        scores = measure(policies, conditions, banks)
        summary = write_results(scores, stage.directory)
        offline = {condition: estimate["mean"] for condition, estimate in summary[OFFLINE].items()}
        curves = learning_curves_table(outcomes)
        curves.to_csv(stage.directory / "curves.csv", index=False)
        label = "Normalised score (expert = 100)" if experiment.robot else "Return"
        figure = learning_curves(curves, offline, title=settings.name, score_label=label)
        save_figure(figure, stage.directory / CURVES)
        for name in (f"{SCORES}.parquet", f"{SCORES}.csv", SUMMARY, TABLE, CURVES, "curves.csv"):
            run.log_artifact(stage.directory / name)
        best = best_trial(finetune)
        run.log_metrics({**_named("offline", summary[OFFLINE]), **_named("test", summary[best])}, step=0)
    _log_to_trials(experiment, finetune, summary)
    stage.finish({"summary": summary, "best": best}, settings.seed)
    return stage


def measure(
    policies: Mapping[str, Policy], conditions: EvaluatedConditions, adaptive_banks: Mapping[str, AttackBank]
) -> pd.DataFrame:
    """Rows of `evaluate` for every policy: the configured conditions, and each policy's adaptive attack if it has one.

    Raises:
        ValueError: a condition needs a bank or a critic that is not there.
    """
    tables = []
    experiment, settings = conditions.experiment, conditions.experiment.settings
    with progress("evaluation", len(policies), "policies") as report:
        for done, (name, policy) in enumerate(policies.items()):
            report.update(done, name)
            episodes = conditions.episodes(policy, adaptive_banks.get(name))
            runtime = settings.runtime
            runner = DistributedRollouts(
                policy, settings.environment, runtime.attack_workers, runtime.resources.evaluation
            )
            tables.append(evaluate(runner, episodes, policy=name, robot=experiment.robot))
        report.update(len(policies))
    return pd.concat(tables, ignore_index=True)


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
) -> dict[str, AttackBank]:
    """A fresh attack on each policy, written into the results in `directory` as it is found; what is there is kept.

    `keep` makes each of them safe.
    """
    banks = {}
    for name, policy in policies.items():
        path = adaptive_bank_file(directory, name)
        if not path.exists():
            count = experiment.settings.evaluation.adaptive_searches
            make_bank(experiment, policy, f"adaptive {name}", count).save(path)
            keep()
        banks[name] = AttackBank.load(path)
    return banks


def adaptive_bank_file(directory: Path, name: str) -> Path:
    """Where in the results in `directory` the bank of the fresh attack on the policy `name` lies."""
    return adaptive_banks_directory(directory) / f"{file_name(name)}.npz"


def adaptive_banks_directory(directory: Path) -> Path:
    """Where in the results in `directory` the banks of all fresh attacks lie."""
    return directory / "adaptive_banks"


def _log_to_trials(experiment: Experiment, finetune: Stage, summary: Summary) -> None:
    for outcome in trial_outcomes(finetune):
        run = experiment.tracker.trial_run(outcome.trial_id, outcome.name)
        run.log_metrics(_named("test", summary[outcome.name]), step=outcome.best_env_steps)
    experiment.tracker.flush()


def _named(prefix: str, estimates: Mapping[str, Estimate]) -> dict[str, float]:
    return {f"{prefix}/{condition}": estimate["mean"] for condition, estimate in estimates.items()}
