"""What studies cost before anything is started: environment steps, updates, and hours at given speeds."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from afrl_ray.config import ExperimentSettings, LinearCurriculum
from afrl_ray.config.study import AttackersBudget, AttackersSettings
from afrl_ray.studies.expand import Case, Plan, expand

RACED_SHARE = 0.25
"""Share of the episodes of a plain search that a raced one plays, roughly: what is saved depends on the policy."""


@dataclass(frozen=True)
class Speed:
    """How fast one process of this machine is, with one robot."""

    env_steps: float
    """Environment steps per second of a policy acting in a batch of environments."""
    updates: Mapping[str, float]
    """Updates per second of each algorithm, by its `type`."""


@dataclass(frozen=True)
class Work:
    """One piece of work, which is done once however many cases need it."""

    robot: str
    env_steps: int
    """Whose updates are counted apart."""
    updates: int = 0
    algorithm: str = ""
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
        for identity, work in _plan_works(plan):
            if identity not in works or works[identity].updates < work.updates:
                works[identity] = work
    return list(works.values())


def hours(works: Sequence[Work], speeds: Mapping[str, Speed], cores: int) -> float:
    """With all `cores` at work, a training on each; `speeds` is by robot."""
    seconds = 0.0
    for work in works:
        speed = speeds[work.robot]
        seconds += work.env_steps / speed.env_steps
        seconds += work.updates / speed.updates[work.algorithm] if work.updates else 0.0
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
    settings, dump = case.settings, case.settings.model_dump_json
    data = dump(include={"seed", "environment", "data"})
    yield data, Work(case.robot, settings.data.transitions or 0)
    offline = settings.pretrain
    episodes = -(-offline.updates // offline.evaluation_interval) * offline.evaluation_episodes
    steps = episodes * settings.environment.max_episode_steps
    yield data + dump(include={"pretrain"}), Work(case.robot, steps, offline.updates, offline.algorithm.type)


def _training(case: Case, pretrained: str) -> Iterator[tuple[object, Work]]:
    """Banks, fine-tuning and tests; a test of the same policy under the same conditions is done once."""
    settings, limit = case.settings, case.settings.environment.max_episode_steps
    dump = settings.model_dump_json
    attack = pretrained + dump(include={"attack", "perturbation"}, exclude={"perturbation": {"condition", "pgd"}})
    yield attack, Work(case.robot, _attack_steps(settings))
    policy, reads = attack, (0,)
    if case.trained:
        finetune, reads = settings.finetune, case.reads
        length = {} if isinstance(settings.curriculum, LinearCurriculum) else {"finetune": {"steps"}}
        policy += dump(include={"finetune", "perturbation", "curriculum"}, exclude=length)
        policy += case.match.settings.model_dump_json() if case.match else ""
        evaluations = case.steps // finetune.evaluation_interval + 1
        validation = 3 * evaluations * finetune.validation_episodes * limit
        yield policy, Work(case.robot, case.steps + validation, case.steps, finetune.algorithm.type, is_run=True)
    policies = 2 if case.trained else 1  # the one at the end, and the one chosen by validation
    for step, condition in itertools.product(reads, settings.evaluation.conditions):
        yield (policy, step, condition), Work(case.robot, policies * settings.evaluation.episodes * limit)


def _comparison(case: Case, study: AttackersSettings, budget: AttackersBudget) -> Work:
    searches = len(study.optimizers) * budget.searches
    measured = searches * case.settings.attack.generations * budget.measuring_episodes
    return Work(case.robot, searches * budget.step_budget + measured * case.settings.environment.max_episode_steps)


def _attack_steps(settings: ExperimentSettings) -> int:
    attack = settings.attack
    searches = attack.training_bank + attack.validation_bank + attack.evaluation_bank
    episodes = searches * attack.population * attack.generations * attack.episodes
    raced = attack.racing.enabled and attack.optimizer == "DE"
    return round(episodes * settings.environment.max_episode_steps * (RACED_SHARE if raced else 1.0))
