"""Any policies of ours side by side, without an experiment around them."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from afrl_ray.algorithms import load_module, load_policy
from afrl_ray.attacks import AttackBank
from afrl_ray.config import ExperimentSettings, FaultSettings, with_settings
from afrl_ray.envs import check_policy_fits, find_robot
from afrl_ray.evaluation.statistics import Summary
from afrl_ray.networks import Policy
from afrl_ray.pipeline.artifacts import read_json, write_json
from afrl_ray.pipeline.attack import adversarial_faults
from afrl_ray.pipeline.cluster import connect, quiet_ray
from afrl_ray.pipeline.conditions import EvaluatedConditions
from afrl_ray.pipeline.evaluate import adaptive_banks, adaptive_banks_directory, measure, write_results
from afrl_ray.pipeline.experiment import Experiment
from afrl_ray.pipeline.identity import content_key, identity
from afrl_ray.pipeline.progress import say

_KEY = "key.json"
"""What the fresh attacks beside it depend on."""
_MAKE_BANK = "make one with `afrl attack CHECKPOINT --output BANK.npz`"


def evaluate_checkpoints(
    checkpoints: Sequence[Path],
    settings: ExperimentSettings,
    banks: Sequence[Path],
    critic: Path | None,
    output: Path,
) -> Summary:
    """Measure checkpoints under the conditions of `settings`, and write the result files into `output`.

    Without any bank the adversarial condition is left out. Each of `banks` is for the adversarial conditions under its
    own fault; a fault whose magnitude `settings` do not give has that of the bank. `critic` is a checkpoint whose
    critic pgd descends on. With `evaluation.adaptive_attack` every policy is attacked afresh as well; if that is
    interrupted, the same call goes on with what was found.

    Raises:
        FileNotFoundError, HandoverError, PolicyFileError, BankFileError: a file is not there or not one of ours.
        BankMismatchError, ValueError: a policy or bank is for another robot, a bank is for another fault, a condition
            lacks its bank or critic, or a checkpoint is given twice.
    """
    quiet_ray()
    names = policy_names(checkpoints)
    loaded = {path: AttackBank.load(path) for path in banks}
    settings, notes = _without_bank(settings) if not loaded else _with_magnitudes(settings, list(loaded.values()))
    experiment = Experiment(settings)
    conditions_banks = banks_by_fault(experiment, loaded)
    policies = dict(zip(names, map(load_policy, checkpoints), strict=True))
    for name, policy in policies.items():
        check_policy_fits(policy, settings.environment, name)
    gradients = None
    if critic is not None:
        module = load_module(critic)
        check_policy_fits(module.policy, settings.environment, str(critic))
        gradients = module.critic_gradients()
    conditions = EvaluatedConditions(experiment, conditions_banks, gradients)
    for policy in policies.values():
        conditions.episodes(policy)  # what is missing is missed before the first search
    for note in notes:
        say(note)
    connect(settings.runtime)
    if settings.evaluation.adaptive_attack:
        adaptive = _attacked_afresh(experiment, policies, output)
    else:
        adaptive = {}
        shutil.rmtree(adaptive_banks_directory(output), ignore_errors=True)  # an earlier evaluation's
    summary = write_results(measure(policies, conditions, adaptive), output)
    say(f"scores, summary and table: {output}")
    return summary


def _attacked_afresh(experiment: Experiment, policies: Mapping[str, Policy], output: Path) -> dict[str, AttackBank]:
    """A fresh attack on each policy; those that an interrupted evaluation has found are kept."""
    settings = experiment.settings
    work = {
        **identity(settings, "attack"),
        "fault": experiment.fault.model_dump(),
        "searches": settings.evaluation.adaptive_searches,
        "policies": {name: policy.fingerprint() for name, policy in policies.items()},
    }
    directory, key = adaptive_banks_directory(output), {"key": content_key(work)}
    if read_json(directory / _KEY) != key:
        shutil.rmtree(directory, ignore_errors=True)  # an earlier evaluation's
        write_json(directory / _KEY, key)
    return adaptive_banks(experiment, policies, output)


def policy_names(paths: Sequence[Path]) -> list[str]:
    """The last part of each path, or the whole path where that would not tell them apart.

    Raises:
        ValueError: two are the same file or folder.
    """
    places = [path.resolve() for path in paths]
    for index, place in enumerate(places):
        if place in places[:index]:
            raise ValueError(f"{paths[index]} is given twice; name every policy once")
    names = [path.stem for path in paths]
    return names if len(set(names)) == len(names) else [str(path) for path in paths]


def banks_by_fault(experiment: Experiment, banks: Mapping[Path, AttackBank]) -> dict[FaultSettings, AttackBank]:
    """The bank of every fault that an adversarial condition is under.

    Raises:
        ValueError: a fault has none or two of them, or no condition is under the fault of a bank.
    """
    wanted = adversarial_faults(experiment)
    simulated = find_robot(experiment.settings.environment.id)
    chosen: dict[FaultSettings, AttackBank] = {}
    for path, bank in banks.items():
        searched = find_robot(bank.environment)
        if searched and simulated and searched != simulated:
            raise ValueError(f"{path} is for {searched.name}, not for {experiment.settings.environment.id}")
        if bank.fault not in wanted:
            asked = f"they are under {', '.join(map(str, wanted))}" if wanted else "there are none"
            raise ValueError(f"{path} is for {bank.fault}, which no adversarial condition is under ({asked})")
        if bank.fault in chosen:
            raise ValueError(f"{path} is a second attack bank for {bank.fault}; give one for each fault")
        chosen[bank.fault] = bank
    for fault in wanted:
        if fault not in chosen:
            raise ValueError(
                f"no --bank is for {fault}, which a condition asks for; {_MAKE_BANK[:-1]} "
                f"perturbation.fault.type={fault.type} perturbation.fault.magnitude={fault.magnitude:g}`"
            )
    return chosen


def _without_bank(settings: ExperimentSettings) -> tuple[ExperimentSettings, list[str]]:
    """The settings without the condition that needs a bank of their own fault, and what to say about it."""
    conditions = settings.evaluation.conditions
    if "adversarial" not in conditions:
        return settings, []
    others = [condition for condition in conditions if condition != "adversarial"]
    if not others:
        raise ValueError(f"the adversarial condition needs an attack bank: {_MAKE_BANK}, then add --bank BANK.npz")
    note = f"no --bank given: the adversarial condition is left out ({_MAKE_BANK})"
    return with_settings(settings, {"evaluation.conditions": others}), [note]


def _with_magnitudes(settings: ExperimentSettings, banks: Sequence[AttackBank]) -> tuple[ExperimentSettings, list[str]]:
    """The settings in which a fault without a magnitude has that of the only bank of its kind, and what to say."""
    notes: list[str] = []
    epsilon = settings.perturbation.epsilon

    def completed(fault: FaultSettings) -> FaultSettings:
        found = {bank.fault for bank in banks if bank.fault.type == fault.type}
        is_given = fault.magnitude is not None or (epsilon is not None and fault.needs_epsilon)
        if is_given or len(found) != 1:
            return fault
        (own,) = found
        notes.append(f"{own}: the magnitude is the bank's")
        return own

    conditions = [
        condition
        if isinstance(condition, str)
        else condition.model_copy(update={"fault": completed(condition.fault)}).model_dump(mode="json")
        for condition in settings.evaluation.conditions
    ]
    own = completed(settings.perturbation.fault)
    values = {"evaluation.conditions": conditions, "perturbation.fault": own.model_dump(mode="json")}
    return with_settings(settings, values), list(dict.fromkeys(notes))
