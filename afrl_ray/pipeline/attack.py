"""Stage: the attack banks for training, validation and evaluation, made against the pretrained policy."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from afrl_ray.algorithms import load_policy
from afrl_ray.attacks import AttackBank, BankClient
from afrl_ray.attacks.search import search_attacks
from afrl_ray.config import ExperimentSettings, FaultSettings
from afrl_ray.envs import check_policy_fits
from afrl_ray.networks import Policy
from afrl_ray.perturbations import Body, make_fault
from afrl_ray.pipeline.artifacts import Stage
from afrl_ray.pipeline.cluster import connect, quiet_ray
from afrl_ray.pipeline.experiment import Experiment
from afrl_ray.pipeline.identity import content_key
from afrl_ray.pipeline.pretrain import offline_policy
from afrl_ray.pipeline.progress import progress, say
from afrl_ray.rollouts import CandidateRunner, DistributedRollouts, KeptRollouts
from afrl_ray.seeding import derive_seed

BankPurpose = Literal["training", "validation", "evaluation"]


def attack_stage(experiment: Experiment, pretrain: Stage, fault: FaultSettings | None = None) -> Stage:
    """Where the banks of the experiment's own fault lie, or those of another one that only the evaluation asks for."""
    fault = fault or experiment.fault
    name = "attack" if fault == experiment.fault else f"attack_{fault.type}_{fault.magnitude:.15g}"
    return experiment.stage(name, "attack", {"pretrain": pretrain.key}, fault=fault.model_dump())


def load_bank(stage: Stage, purpose: BankPurpose) -> AttackBank:
    """One of the three banks of a finished attack stage."""
    return AttackBank.load(stage.directory / f"{purpose}.npz")


def bank_client(attack: Stage) -> BankClient:
    """The way to the actor that holds `attack`'s training bank, and q of every trial under it.

    One for each place of results: on a shared cluster somebody else may run the same settings.
    """
    identity = content_key([attack.key, attack.location])
    return BankClient(f"afrl-bank-{identity[:16]}", load_bank(attack, "training"))


def attack(experiment: Experiment, pretrain: Stage) -> Stage:
    """Make the three banks of the experiment's fault, and one for each other fault that the evaluation asks for.

    By independent searches; an interrupted one goes on where it was.
    """
    stage, settings = attack_stage(experiment, pretrain), experiment.settings.attack
    sizes: dict[BankPurpose, int] = {
        "training": settings.training_bank,
        "validation": settings.validation_bank,
        "evaluation": settings.evaluation_bank,
    }
    _make_banks(experiment, pretrain, stage, experiment.fault, sizes)
    evaluation_banks(experiment, pretrain)
    return stage


def evaluation_banks(experiment: Experiment, pretrain: Stage) -> dict[FaultSettings, AttackBank]:
    """The evaluation bank of every fault that adversarial conditions name; those of other faults are made if need be.

    They are no part of the attack stage proper: another condition in the evaluation must not repeat the fine-tuning.
    """
    banks = {}
    for fault in adversarial_faults(experiment):
        stage = attack_stage(experiment, pretrain, fault)
        if fault != experiment.fault:
            _make_banks(experiment, pretrain, stage, fault, {"evaluation": experiment.settings.attack.evaluation_bank})
        banks[fault] = load_bank(stage, "evaluation")
    return banks


def adversarial_faults(experiment: Experiment) -> list[FaultSettings]:
    """The faults that the evaluation's adversarial conditions are about, each once."""
    faults = [
        experiment.fault if isinstance(condition, str) else experiment.resolved(condition.fault)
        for condition in experiment.settings.evaluation.conditions
        if "adversarial" in (condition, getattr(condition, "condition", None))
    ]
    return list(dict.fromkeys(faults))


def _make_banks(
    experiment: Experiment, pretrain: Stage, stage: Stage, fault: FaultSettings, sizes: Mapping[BankPurpose, int]
) -> None:
    settings = experiment.settings
    if stage.finished():
        say(f"{stage.name}: kept, {stage.location}")
        return
    stage.begin()
    connect(settings.runtime)
    policy = offline_policy(pretrain)
    outputs = {}
    parameters = settings.model_dump(mode="json", include={"attack", "perturbation"})
    with experiment.tracker.child_run(stage.directory.name, parameters=parameters) as run:
        for purpose, count in sizes.items():
            path = stage.directory / f"{purpose}.npz"
            if not path.exists():
                make_bank_file(path, experiment, policy, purpose, count, fault, stage.keep)
            bank = load_bank(stage, purpose)
            outputs[purpose] = bank.manifest()
            run.log_metrics({f"attack/{purpose}_mean_return": bank.fitness.mean()}, step=0)
            run.log_artifact(path)
            run.log_artifact(path.with_suffix(".json"))
        stage.finish(outputs, settings.seed)
    worst = load_bank(stage, next(iter(sizes))).fitness.mean()
    say(f"{stage.name}: {sum(sizes.values())} searches for {fault}, mean return {worst:.0f} under attack")


def make_bank_file(
    path: Path,
    experiment: Experiment,
    policy: Policy,
    purpose: str,
    count: int,
    fault: FaultSettings | None = None,
    keep: Callable[[], None] = lambda: None,
    body: Body | None = None,
) -> AttackBank:
    """`make_bank` into `path`; interrupted, the same call goes on where it was, by a file beside it.

    `keep` makes safe what has been written.
    """
    plays = path.with_name(f"{path.stem}.plays.npz")
    bank = make_bank(experiment, policy, purpose, count, fault, plays, keep, body)
    bank.save(path)
    plays.unlink(missing_ok=True)
    keep()
    return bank


def make_bank(
    experiment: Experiment,
    policy: Policy,
    purpose: str,
    count: int,
    fault: FaultSettings | None = None,
    plays: Path | None = None,
    keep: Callable[[], None] = lambda: None,
    body: Body | None = None,
) -> AttackBank:
    """A bank of `count` attacks on `policy`; different purposes search with unrelated seeds.

    Faults act on `body`, the policy's own where None.

    What the searches have had played is read from `plays` and written there, as often as is told to `keep`.
    """
    settings, fault = experiment.settings, fault or experiment.fault
    environment, runtime = settings.environment, settings.runtime
    seeds = [derive_seed(settings.seed, "attack", purpose, member) for member in range(count)]
    runner: CandidateRunner = DistributedRollouts(
        policy, environment, runtime.attack_workers, runtime.resources.evaluation
    )
    if plays is not None:
        work = content_key([policy.fingerprint(), environment.model_dump(), fault.model_dump()])
        runner = KeptRollouts(runner, plays, work, keep)
    with progress(f"attack {purpose}", count, "searches") as report:
        results = search_attacks(runner, settings.attack, make_fault(fault, body or Body.of(policy)), seeds, report)
    return AttackBank.from_results(results, fault=fault, environment=environment.id, policy_hash=policy.fingerprint())


def attack_checkpoint(checkpoint: Path, settings: ExperimentSettings, output: Path | None) -> dict[str, Any]:
    """Attack any checkpoint of ours by `settings.attack.training_bank` searches; returns the bank's manifest and θ.

    Writes the bank to `output` when it is given; interrupted, the same call then goes on where it was.

    Raises:
        FileNotFoundError, HandoverError, PolicyFileError: there is no policy of ours at `checkpoint`.
        ValueError: it is for another robot.
    """
    quiet_ray()
    policy = load_policy(checkpoint)
    check_policy_fits(policy, settings.environment, str(checkpoint))
    connect(settings.runtime)
    experiment, count = Experiment(settings), settings.attack.training_bank
    if output is None:
        bank = make_bank(experiment, policy, "checkpoint", count)
    else:
        bank = make_bank_file(output, experiment, policy, "checkpoint", count)
    return {**bank.manifest(), "deltas": bank.deltas.tolist(), "file": str(output) if output else None}
