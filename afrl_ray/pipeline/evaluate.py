"""Stage: every policy of the experiment under every condition."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from afrl_ray.algorithms import load_policy
from afrl_ray.attacks import AttackBank
from afrl_ray.config import EnvironmentSettings, EvaluationSettings, ExperimentSettings, RuntimeSettings
from afrl_ray.envs import find_robot
from afrl_ray.evaluation.conditions import EvaluationPlan
from afrl_ray.evaluation.evaluate import evaluate
from afrl_ray.evaluation.plots import learning_curves, save_figure
from afrl_ray.evaluation.statistics import Estimate, Summary, summarise
from afrl_ray.evaluation.tables import markdown_table, write_markdown, write_scores, write_summary
from afrl_ray.networks import Policy, load_policy_file
from afrl_ray.pipeline.artifacts import Stage, read_json
from afrl_ray.pipeline.attack import check_fits, load_bank, make_bank
from afrl_ray.pipeline.cluster import connect, quiet_ray
from afrl_ray.pipeline.experiment import Experiment
from afrl_ray.pipeline.finetune import best_trial, learning_curves_table, trial_outcomes
from afrl_ray.pipeline.pretrain import offline_policy
from afrl_ray.pipeline.progress import progress, say
from afrl_ray.pipeline.search import file_name
from afrl_ray.rollouts import DistributedRollouts

OFFLINE = "offline"
ADAPTIVE = "adaptive attack"
SCORES, SUMMARY, TABLE, CURVES = "scores", "summary.json", "table.md", "curves.png"


def evaluation_stage(experiment: Experiment, attack: Stage, finetune: Stage) -> Stage:
    return experiment.stage(
        "evaluation", {"evaluation", "attack", "perturbation"}, {"attack": attack.key, "finetune": finetune.key}
    )


def evaluate_experiment(experiment: Experiment, pretrain: Stage, attack: Stage, finetune: Stage) -> Stage:
    """Measure the offline policy and every trial's best policy; write scores, summary, table and figure."""
    stage, settings = evaluation_stage(experiment, attack, finetune), experiment.settings
    if stage.finished():
        say(f"evaluation: kept, {stage.directory}")
        return stage
    stage.begin()
    connect(settings.runtime)
    outcomes = trial_outcomes(finetune)
    policies = {OFFLINE: offline_policy(pretrain)}
    policies |= {outcome.name: load_policy_file(outcome.policy)[0] for outcome in outcomes}
    attacked = {name: policy for name, policy in policies.items() if name != OFFLINE}
    adaptive_banks = _adaptive_banks(experiment, attacked, stage) if settings.evaluation.adaptive_attack else {}
    with experiment.tracker.child_run("evaluation") as run:
        scores = measure(
            policies,
            settings.environment,
            settings.evaluation,
            bank=load_bank(attack, "evaluation"),
            adaptive_banks=adaptive_banks,
            epsilon=experiment.epsilon,
            seed=settings.seed,
            runtime=settings.runtime,
        )
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


def evaluate_checkpoints(
    checkpoints: Sequence[Path], settings: ExperimentSettings, bank: Path | None, output: Path | None
) -> Summary:
    """Measure any checkpoints of ours side by side; without a bank the adversarial condition is left out.

    Writes the result files into `output` when it is given.

    Raises:
        FileNotFoundError, HandoverError, PolicyFileError, BankFileError: a file is not there or not one of ours.
        ValueError: a policy is for another robot.
    """
    quiet_ray()
    experiment = Experiment(settings)
    policies = dict(zip(_short_names(checkpoints), map(load_policy, checkpoints), strict=True))
    for name, policy in policies.items():
        check_fits(policy, settings.environment, name)
    evaluation = settings.evaluation
    if bank is None:
        say("no --bank given: the adversarial condition is left out (make one with `afrl attack CHECKPOINT`)")
        conditions = tuple(condition for condition in evaluation.conditions if condition != "adversarial")
        evaluation = evaluation.model_copy(update={"conditions": conditions})
    connect(settings.runtime)
    scores = measure(
        policies,
        settings.environment,
        evaluation,
        bank=AttackBank.load(bank) if bank else None,
        adaptive_banks={},
        epsilon=experiment.epsilon,
        seed=settings.seed,
        runtime=settings.runtime,
    )
    return write_results(scores, output) if output else summarise(scores)


def _short_names(paths: Sequence[Path]) -> list[str]:
    """The last part of each path, or the whole path where that would not tell them apart."""
    names = [path.stem for path in paths]
    return names if len(set(names)) == len(names) else [str(path) for path in paths]


def measure(
    policies: Mapping[str, Policy],
    environment: EnvironmentSettings,
    evaluation: EvaluationSettings,
    *,
    bank: AttackBank | None,
    adaptive_banks: Mapping[str, AttackBank],
    epsilon: float,
    seed: int,
    runtime: RuntimeSettings,
) -> pd.DataFrame:
    """Rows of `evaluate` for every policy: the configured conditions, and each policy's adaptive attack if it has one.

    Raises:
        ValueError: the adversarial condition is asked for without a bank.
    """
    tables = []
    robot = find_robot(environment.id)
    with progress("evaluation", len(policies), "policies") as report:
        for done, (name, policy) in enumerate(policies.items()):
            report.update(done, name)
            plan = EvaluationPlan(seed, "test", evaluation.episodes, policy.action_size, epsilon)
            attacks = bank.deltas if bank else None
            episodes = [plan.under(condition, bank=attacks) for condition in evaluation.conditions]
            if name in adaptive_banks:
                episodes.append(plan.under("adversarial", bank=adaptive_banks[name].deltas, name=ADAPTIVE))
            runner = DistributedRollouts(policy, environment, runtime.attack_workers, runtime.resources.evaluation)
            tables.append(evaluate(runner, episodes, policy=name, robot=robot))
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


def _adaptive_banks(experiment: Experiment, policies: Mapping[str, Policy], stage: Stage) -> dict[str, AttackBank]:
    """A fresh attack on each policy, kept in the stage's directory as it is found."""
    banks = {}
    for name, policy in policies.items():
        path = stage.directory / "adaptive_banks" / f"{file_name(name)}.npz"
        if not path.exists():
            count = experiment.settings.evaluation.adaptive_searches
            make_bank(experiment, policy, f"adaptive {name}", count).save(path)
        banks[name] = AttackBank.load(path)
    return banks


def _log_to_trials(experiment: Experiment, finetune: Stage, summary: Summary) -> None:
    for outcome in trial_outcomes(finetune):
        run = experiment.tracker.child_run(outcome.trial_id)
        run.log_metrics(_named("test", summary[outcome.name]), step=outcome.best_env_steps)
    experiment.tracker.flush()


def _named(prefix: str, estimates: Mapping[str, Estimate]) -> dict[str, float]:
    return {f"{prefix}/{condition}": estimate["mean"] for condition, estimate in estimates.items()}
