"""The search for the worst faults: nevergrad asks for populations, batched rollouts tell their returns."""

import math
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from afrl_ray.attacks.fitness import AttackResult, Play, SearchLog
from afrl_ray.attacks.optimizers import failures_of, make_optimizer, setting_of
from afrl_ray.attacks.racing import raced_evolution
from afrl_ray.config import AttackSettings, EnvironmentSettings
from afrl_ray.networks import Policy
from afrl_ray.perturbations import Fault, FiniteSet
from afrl_ray.rollouts import CandidateRunner, DistributedRollouts
from afrl_ray.seeding import derive_seed


class ProgressReport(Protocol):
    """Told how many searches are done; `afrl_ray.pipeline.progress.Reporter` is one."""

    def update(self, completed: int, note: str = "") -> None: ...


def search_bank(
    policy: Policy,
    environment: EnvironmentSettings,
    settings: AttackSettings,
    fault: Fault,
    seeds: Sequence[int],
    workers: int | None = None,
) -> list[AttackResult]:
    """One independent search per seed, over `workers` Ray tasks of a core each; as many as the cluster has room for
    when not given.

    A result depends on the policy, the settings and its own seed, and neither on the workers nor on the other searches.

    Raises:
        ValueError: `settings.optimizer` is no optimizer that nevergrad knows, or fails in it.
    """
    return search_attacks(DistributedRollouts(policy, environment, workers), settings, fault, seeds)


def search_attack(runner: CandidateRunner, settings: AttackSettings, fault: Fault, seed: int) -> AttackResult:
    """Minimise the mean return over the parameters θ of `fault`: a search in a box, all members of a finite set.

    Raises:
        ValueError: `settings.optimizer` is no optimizer that nevergrad knows, or fails in it.
    """
    return search_attacks(runner, settings, fault, [seed])[0]


def search_attacks(
    runner: CandidateRunner,
    settings: AttackSettings,
    fault: Fault,
    seeds: Sequence[int],
    progress: ProgressReport | None = None,
) -> list[AttackResult]:
    """`search_attack` for each of `seeds`, in step: what all searches want played next is played together.

    So there is enough to fill large batches and all cores, however few episodes one search needs at a time.

    Raises:
        ValueError: `settings.optimizer` is no optimizer that nevergrad knows, or fails in it.
    """
    logs = [SearchLog(seed, settings.generations, settings.step_budget) for seed in seeds]
    searches = [_search(settings, fault, log) for log in logs]
    results: dict[int, AttackResult] = {}
    wanted = {index: next(search) for index, search in enumerate(searches)}
    while wanted:
        played = iter(runner.play([candidate for candidates in wanted.values() for candidate in candidates], fault))
        answers = {index: [next(played) for _ in candidates] for index, candidates in wanted.items()}
        for index, answer in answers.items():
            try:
                wanted[index] = searches[index].send(answer)
            except StopIteration as finished:
                results[index] = finished.value
                del wanted[index]
        if progress:
            _report(progress, logs, len(results))
    return [results[index] for index in range(len(searches))]


def _report(progress: ProgressReport, logs: Sequence[SearchLog], finished: int) -> None:
    """Searches advance together, so that generations count as parts of searches; the last one ends with its result."""
    parts = math.floor(sum(log.share_done for log in logs))
    steps = sum(log.environment_steps for log in logs)
    best = min(log.best for log in logs)
    note = f"lowest return {best:.0f}, {steps:,} environment steps" if math.isfinite(best) else ""
    progress.update(max(finished, min(parts, len(logs) - 1)), note)


def _search(settings: AttackSettings, fault: Fault, log: SearchLog) -> Play[AttackResult]:
    parameters = fault.parameters
    if isinstance(parameters, FiniteSet):
        return (yield from _try_all(parameters, settings, log))
    optimizer = make_optimizer(settings, parameters, log.seed)
    # racing needs an optimizer that compares each candidate with one other
    if settings.racing.enabled and settings.optimizer == "DE":
        return (yield from raced_evolution(optimizer, settings, log))
    return (yield from _plain_search(optimizer, settings, log))


def _try_all(parameters: FiniteSet, settings: AttackSettings, log: SearchLog) -> Play[AttackResult]:
    """Every member of the set plays `settings.episodes` whole episodes: nothing is left to an optimizer."""
    returns = yield from log.play_returns(parameters.members, _fitness_seeds(settings, log))
    log.candidates = len(parameters.members)
    fitness = returns.mean(axis=1)  # (M,)
    log.record(parameters.members[fitness.argmin()], float(fitness.min()))
    return log.result()


def _plain_search(optimizer: Any, settings: AttackSettings, log: SearchLog) -> Play[AttackResult]:
    """Every candidate plays the same `settings.episodes` whole episodes.

    A generation is `settings.population` candidates, played together where the optimizer proposes so many at a time.
    """
    seeds = _fitness_seeds(settings, log)
    best, best_delta, together = math.inf, np.zeros(0, np.float32), optimizer.num_workers
    while not log.exhausted:
        for _ in range(settings.population // together):
            with failures_of(setting_of(settings)):
                candidates = [optimizer.ask() for _ in range(together)]
            log.candidates += len(candidates)
            parameters = np.stack([candidate.value for candidate in candidates]).astype(np.float32)  # (together, P)
            returns = yield from log.play_returns(parameters, seeds)
            fitness = returns.mean(axis=1)  # (together,)
            with failures_of(setting_of(settings)):
                for candidate, value in zip(candidates, fitness, strict=True):
                    optimizer.tell(candidate, float(value))
            if fitness.min() < best:
                best, best_delta = float(fitness.min()), parameters[fitness.argmin()]
        log.record(best_delta, best)
    return log.result()


def _fitness_seeds(settings: AttackSettings, log: SearchLog) -> NDArray[np.int64]:
    return np.array([derive_seed(log.seed, "fitness", episode) for episode in range(settings.episodes)])
