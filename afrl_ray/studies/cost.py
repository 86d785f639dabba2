"""What studies cost before anything is started: environment steps, updates, and hours at given speeds."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from afrl_ray.config import ExperimentSettings, LinearCurriculum
from afrl_ray.studies.expand import Case

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


def works_of(cases: Sequence[Case]) -> list[Work]:
    """Everything the cases need, what they share only once, a training as long as the longest of them."""
    works: dict[object, Work] = {}
    for case in cases:
        for identity, work in _case_works(case):
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


def _case_works(case: Case) -> Iterator[tuple[object, Work]]:
    """(what it is the same work by, the work) for all that a case needs."""
    settings, limit = case.settings, case.settings.environment.max_episode_steps
    dump = settings.model_dump_json
    data = dump(include={"seed", "environment", "data"})
    pretrain = data + dump(include={"pretrain"})
    attack = pretrain + dump(include={"attack"}) + str(settings.perturbation.epsilon)
    yield data, Work(case.robot, settings.data.transitions or 0)

    offline = settings.pretrain
    episodes = -(-offline.updates // offline.evaluation_interval) * offline.evaluation_episodes
    yield pretrain, Work(case.robot, episodes * limit, offline.updates, offline.algorithm.type)
    yield attack, Work(case.robot, _attack_steps(settings))

    policy, policies = attack, 1
    if case.trained:
        finetune = settings.finetune
        linear = isinstance(settings.curriculum, LinearCurriculum)
        length = {} if linear else {"finetune": {"steps"}}
        policy = attack + dump(include={"finetune", "perturbation", "curriculum"}, exclude=length)
        policy += case.match.settings.model_dump_json() if case.match else ""
        evaluations = case.steps // finetune.evaluation_interval + 1
        validation = 3 * evaluations * finetune.validation_episodes * limit
        yield policy, Work(case.robot, case.steps + validation, case.steps, finetune.algorithm.type, is_run=True)
        policies = 2 * len(case.reads)
    tests = policies * len(settings.evaluation.conditions) * settings.evaluation.episodes
    yield (policy, case.reads if case.trained else ()), Work(case.robot, tests * limit)


def _attack_steps(settings: ExperimentSettings) -> int:
    attack = settings.attack
    searches = attack.training_bank + attack.validation_bank + attack.evaluation_bank
    episodes = searches * attack.population * attack.generations * attack.episodes
    raced = attack.racing.enabled and attack.optimizer == "DE"
    return round(episodes * settings.environment.max_episode_steps * (RACED_SHARE if raced else 1.0))
