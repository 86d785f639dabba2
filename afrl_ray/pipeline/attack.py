"""Stage: the attack banks for training, validation and evaluation, made against the pretrained policy."""

from pathlib import Path
from typing import Any, Literal

from afrl_ray.algorithms import load_policy
from afrl_ray.attacks import AttackBank
from afrl_ray.attacks.search import search_bank
from afrl_ray.config import EnvironmentSettings, ExperimentSettings
from afrl_ray.envs import make_vector_env
from afrl_ray.networks import Policy
from afrl_ray.pipeline.artifacts import Stage
from afrl_ray.pipeline.cluster import connect, quiet_ray
from afrl_ray.pipeline.experiment import Experiment
from afrl_ray.pipeline.pretrain import offline_policy
from afrl_ray.pipeline.progress import progress, say
from afrl_ray.seeding import derive_seed

BankPurpose = Literal["training", "validation", "evaluation"]


def attack_stage(experiment: Experiment, pretrain: Stage) -> Stage:
    return experiment.stage("attack", {"attack"}, {"pretrain": pretrain.key}, epsilon=experiment.epsilon)


def load_bank(stage: Stage, purpose: BankPurpose) -> AttackBank:
    """One of the three banks of a finished attack stage."""
    return AttackBank.load(stage.directory / f"{purpose}.npz")


def attack(experiment: Experiment, pretrain: Stage) -> Stage:
    """Make the three banks by independent searches; a bank that an interruption left complete is kept."""
    stage, settings = attack_stage(experiment, pretrain), experiment.settings
    if stage.finished():
        say(f"attack: kept, {stage.directory}")
        return stage
    stage.begin()
    connect(settings.runtime)
    policy = offline_policy(pretrain)
    sizes: dict[BankPurpose, int] = {
        "training": settings.attack.training_bank,
        "validation": settings.attack.validation_bank,
        "evaluation": settings.attack.evaluation_bank,
    }
    outputs = {}
    parameters = settings.model_dump(mode="json", include={"attack", "perturbation"})
    with experiment.tracker.child_run("attack", parameters=parameters) as run:
        for purpose, count in sizes.items():
            path = stage.directory / f"{purpose}.npz"
            if not path.exists():
                make_bank(experiment, policy, purpose, count).save(path)
            bank = load_bank(stage, purpose)
            outputs[purpose] = bank.manifest()
            run.log_metrics({f"attack/{purpose}_mean_return": bank.fitness.mean()}, step=0)
            run.log_artifact(path)
            run.log_artifact(path.with_suffix(".json"))
        stage.finish(outputs, settings.seed)
    worst = load_bank(stage, "training").fitness.mean()
    count = sum(sizes.values())
    say(f"attack: {count} searches at epsilon {experiment.epsilon:g}, mean return {worst:.0f} under attack")
    return stage


def make_bank(experiment: Experiment, policy: Policy, purpose: str, count: int) -> AttackBank:
    """A bank of `count` attacks on `policy`; different purposes search with unrelated seeds."""
    settings = experiment.settings
    seeds = [derive_seed(settings.seed, "attack", purpose, member) for member in range(count)]
    with progress(f"attack {purpose}", count, "searches") as report:
        results = search_bank(
            policy,
            settings.environment,
            settings.attack,
            experiment.epsilon,
            seeds,
            workers=settings.runtime.attack_workers,
            progress=report,
            request=settings.runtime.resources.evaluation,
        )
    return AttackBank.from_results(
        results, epsilon=experiment.epsilon, environment=settings.environment.id, policy_hash=policy.fingerprint()
    )


def attack_checkpoint(checkpoint: Path, settings: ExperimentSettings, output: Path | None) -> dict[str, Any]:
    """Attack any checkpoint of ours by `settings.attack.training_bank` searches; returns the bank's manifest and δ.

    Writes the bank to `output` when it is given.

    Raises:
        FileNotFoundError, HandoverError, PolicyFileError: there is no policy of ours at `checkpoint`.
        ValueError: it is for another robot.
    """
    quiet_ray()
    policy = load_policy(checkpoint)
    check_fits(policy, settings.environment, str(checkpoint))
    connect(settings.runtime)
    bank = make_bank(Experiment(settings), policy, "checkpoint", settings.attack.training_bank)
    if output is not None:
        bank.save(output)
    return {**bank.manifest(), "deltas": bank.deltas.tolist(), "file": str(output) if output else None}


def check_fits(policy: Policy, environment: EnvironmentSettings, name: str) -> None:
    """
    Raises:
        ValueError: `policy`, called `name`, has other observations or actions than the environment.
    """
    env = make_vector_env(environment, [0])
    sizes = env.observation_space.shape[0], env.action_space.shape[0]
    env.close()
    if (policy.observation_size, policy.action_size) != sizes:
        raise ValueError(
            f"{name} takes {policy.observation_size} observations and gives {policy.action_size} actions, but "
            f"{environment.id} has {sizes[0]} and {sizes[1]}; give the environment it was trained in"
        )
