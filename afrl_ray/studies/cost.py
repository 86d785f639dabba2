"""What studies cost before anything is started: environment steps, updates, and hours at given speeds."""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from afrl_ray.config import ConditionSettings, ExperimentSettings, FaultSettings
from afrl_ray.config.algorithm import OffPolicySettings
from afrl_ray.config.introspection import differences, member_type
from afrl_ray.config.study import AttackersBudget, AttackersSettings
from afrl_ray.perturbations import FiniteSet, make_fault
from afrl_ray.pipeline.experiment import Experiment
from afrl_ray.pipeline.identity import content_key, identity
from afrl_ray.pipeline.preflight import body_of
from afrl_ray.rollouts.episodes import MAX_PARALLEL
from afrl_ray.studies.expand import expand
from afrl_ray.studies.plan import Case, Plan

RACED_SHARE = 0.25
"""Share of the episodes of a plain search that a raced one plays, roughly: what is saved depends on the policy."""

_COSTLY = (
    "hidden_sizes",
    "batch_size",
    "critic_layer_norm",
    "mixed_precision",
    "policy_delay",
    "normalize_actor_loss",
    "num_actions",
)
"""What an algorithm's speed depends on, beside a policy average."""


@dataclass(frozen=True)
class Speed:
    """How fast one process of this machine is, with one robot."""

    env_steps: float
    """Environment steps per second of a policy acting in a batch of environments."""
    updates: Mapping[OffPolicySettings, float]
    """Updates per second of each algorithm, as `paced` has it."""
    pgd_steps: float
    """Steps of PGD per second, each for a batch of environments."""


@dataclass(frozen=True)
class Work:
    """One piece of work, which is done once however many cases need it."""

    robot: str
    env_steps: int
    """Whose updates are counted apart."""
    updates: int = 0
    algorithm: OffPolicySettings | None = None
    """Of the updates, as `paced` has it."""
    pgd_steps: int = 0
    """Steps of PGD, each for as many environments as are stepped together."""
    is_run: bool = False
    """Whether it is a fine-tuning."""


@dataclass(frozen=True)
class Cost:
    """Episodes are taken to last to their time limit, so that it is rather less."""

    runs: int
    """Fine-tunings."""
    training_steps: int
    """Their environment steps, one update each."""
    offline_updates: int
    other_steps: int
    """Environment steps of data, validation, attacks and tests."""

    @classmethod
    def of(cls, works: Sequence[Work]) -> "Cost":
        return cls(
            runs=sum(work.is_run for work in works),
            training_steps=sum(work.updates for work in works if work.is_run),
            offline_updates=sum(work.updates for work in works if not work.is_run),
            other_steps=sum(work.env_steps for work in works) - sum(work.updates for work in works if work.is_run),
        )


def works_of(plans: Sequence[Plan]) -> list[Work]:
    """Everything the studies need, what they share only once, a training as long as the longest that needs it."""
    works: dict[object, Work] = {}
    for plan in plans:
        for same, work in _plan_works(plan):
            if same not in works or works[same].updates < work.updates:
                works[same] = work
    return list(works.values())


def paced(algorithm: OffPolicySettings) -> OffPolicySettings:
    """Equal for algorithms that are as fast: what has no influence on that is as the defaults have it."""
    costly = {name: getattr(algorithm, name) for name in _COSTLY if hasattr(algorithm, name)}
    if getattr(algorithm, "policy_average_decay", 0.0):
        costly["policy_average_decay"] = 0.5
    return type(algorithm)(**costly)


def shown(algorithm: OffPolicySettings) -> str:
    """For people: its type, and what it has beside the defaults."""
    parts = []
    for name, value in differences(algorithm).items():
        is_switch = isinstance(value, bool) or name == "policy_average_decay"
        parts.append(name if is_switch else f"{name} {value}")
    return member_type(type(algorithm)) + (f" ({', '.join(parts)})" if parts else "")


def hours(works: Sequence[Work], speeds: Mapping[str, Speed], cores: int) -> float:
    """With all `cores` at work, a training on each; `speeds` is by robot."""
    seconds = 0.0
    for work in works:
        speed = speeds[work.robot]
        seconds += work.env_steps / speed.env_steps
        seconds += work.updates / speed.updates[work.algorithm] if work.algorithm else 0.0
        seconds += work.pgd_steps / speed.pgd_steps
    return seconds / cores / 3600


def _plan_works(plan: Plan) -> Iterator[tuple[object, Work]]:
    """(what it is the same work by, the work) for all that a study needs."""
    for case in expand(plan):
        pretrained = list(_pretraining(case))
        yield from pretrained
        if isinstance(plan.study, AttackersSettings) and isinstance(plan.budget, AttackersBudget):
            yield (plan.name, pretrained[-1][0]), _comparison(case, plan.study, plan.budget)
        else:
            yield from _training(case, str(pretrained[-1][0]))


def _pretraining(case: Case) -> Iterator[tuple[object, Work]]:
    settings = case.settings
    data = content_key(identity(settings, "data"))
    yield data, Work(case.robot, settings.data.transitions or 0)
    offline = settings.pretrain
    episodes = -(-offline.updates // offline.evaluation_interval) * offline.evaluation_episodes
    steps = episodes * settings.environment.max_episode_steps
    yield (
        data + content_key(identity(settings, "pretrain")),
        Work(case.robot, steps, offline.updates, paced(offline.algorithm)),
    )


def _training(case: Case, pretrained: str) -> Iterator[tuple[object, Work]]:
    """Banks, fine-tuning and tests; a test of the same policy under the same conditions is done once."""
    settings, limit = case.settings, case.settings.environment.max_episode_steps
    banks, own = settings.attack, Experiment(settings).fault
    foundation = pretrained + content_key(identity(settings, "attack"))
    searches = banks.training_bank + banks.validation_bank + banks.evaluation_bank
    yield (foundation, own), Work(case.robot, searches * _search_steps(settings, own))
    for fault in _attacked_elsewhere(settings, own):
        yield (foundation, fault), Work(case.robot, banks.evaluation_bank * _search_steps(settings, fault))
    policy, reads = f"{foundation}{own!r}", (0,)
    if case.trained:
        finetune, reads = settings.finetune, case.reads
        policy += content_key(identity(settings, "run"))
        policy += case.match.settings.model_dump_json() if case.match else ""
        evaluations = case.steps // finetune.evaluation_interval + 1
        under_pgd = settings.perturbation.condition == "pgd"  # and validated under it, too
        validation = (3 + under_pgd) * evaluations * finetune.validation_episodes * limit
        pgd_steps = 0
        if under_pgd:
            chosen = -(-case.steps // finetune.num_envs) * settings.perturbation.pgd.steps
            pgd_steps = chosen + evaluations * _pgd_steps(settings, finetune.validation_episodes)
        yield (
            policy,
            Work(case.robot, case.steps + validation, case.steps, paced(finetune.algorithm), pgd_steps, is_run=True),
        )
    policies = 2 if case.trained else 1  # the one at the end, and the one chosen by validation
    for step, condition in itertools.product(reads, settings.evaluation.conditions):
        chosen_by = condition.condition if isinstance(condition, ConditionSettings) else condition
        pgd_steps = policies * _pgd_steps(settings, settings.evaluation.episodes) if chosen_by == "pgd" else 0
        steps = policies * settings.evaluation.episodes * limit
        yield (policy, step, condition), Work(case.robot, steps, pgd_steps=pgd_steps)


def _pgd_steps(settings: ExperimentSettings, episodes: int) -> int:
    """Of one evaluation under pgd."""
    return -(-episodes // MAX_PARALLEL) * settings.environment.max_episode_steps * settings.perturbation.pgd.steps


def _comparison(case: Case, study: AttackersSettings, budget: AttackersBudget) -> Work:
    """Whole generations until the budget is used up, and the best of each on the measuring episodes."""
    attack, limit = case.settings.attack, case.settings.environment.max_episode_steps
    steps = 0
    for optimizer in study.optimizers:
        raced = attack.racing.enabled and optimizer == "DE"
        generation = attack.population * (attack.episodes * RACED_SHARE if raced else budget.plain_episodes) * limit
        generations = math.ceil(budget.step_budget / generation)
        steps += budget.searches * round(generations * (generation + budget.measuring_episodes * limit))
    return Work(case.robot, steps)


def _search_steps(settings: ExperimentSettings, fault: FaultSettings) -> int:
    """Of one search for `fault`."""
    attack, limit = settings.attack, settings.environment.max_episode_steps
    parameters = make_fault(fault, body_of(settings.environment)).parameters
    if isinstance(parameters, FiniteSet):  # every one is tried
        return len(parameters.members) * attack.episodes * limit
    if attack.step_budget is not None:
        return attack.step_budget
    raced = attack.racing.enabled and attack.optimizer == "DE"
    episodes = attack.population * attack.generations * attack.episodes
    return round(episodes * limit * (RACED_SHARE if raced else 1.0))


def _attacked_elsewhere(settings: ExperimentSettings, own: FaultSettings) -> list[FaultSettings]:
    """The faults but the experiment's own that adversarial conditions of the test need a bank for, each once."""
    faults = [
        Experiment(settings).resolved(one.fault)
        for one in settings.evaluation.conditions
        if isinstance(one, ConditionSettings) and one.condition == "adversarial"
    ]
    return [fault for fault in dict.fromkeys(faults) if fault != own]
