"""The search for the worst faults: nevergrad asks for populations, batched rollouts tell their returns."""

import difflib
import math
from collections.abc import Sequence
from typing import Any, Protocol

import nevergrad
import numpy as np

from afrl_ray.attacks.fitness import AttackResult, Play, SearchLog
from afrl_ray.attacks.racing import raced_evolution
from afrl_ray.config import AttackSettings, EnvironmentSettings, ResourceRequest
from afrl_ray.networks import Policy
from afrl_ray.rollouts import CandidateRunner, DistributedRollouts
from afrl_ray.seeding import derive_seed


class ProgressReport(Protocol):
    """Told how many searches are done; `afrl_ray.pipeline.progress.Reporter` is one."""

    def update(self, completed: int, note: str = "") -> None: ...


def search_bank(
    policy: Policy,
    environment: EnvironmentSettings,
    settings: AttackSettings,
    epsilon: float,
    seeds: Sequence[int],
    workers: int | None = None,
    progress: ProgressReport | None = None,
    request: ResourceRequest | None = None,
) -> list[AttackResult]:
    """One independent search per seed, over `workers` Ray tasks that each get what `request` asks for (one core); as
    many as the cluster has room for when not given.

    A result depends on the policy, the settings and its own seed, and neither on the workers nor on the other searches.

    Raises:
        ValueError: `settings.optimizer` is no optimizer that nevergrad knows.
    """
    runner = DistributedRollouts(policy, environment, workers, request)
    return search_attacks(runner, settings, epsilon, policy.action_size, seeds, progress)


def search_attack(
    runner: CandidateRunner, settings: AttackSettings, epsilon: float, action_size: int, seed: int
) -> AttackResult:
    """Minimise the mean return over δ in [−epsilon, epsilon]^A.

    Raises:
        ValueError: `settings.optimizer` is no optimizer that nevergrad knows.
    """
    return search_attacks(runner, settings, epsilon, action_size, [seed])[0]


def search_attacks(
    runner: CandidateRunner,
    settings: AttackSettings,
    epsilon: float,
    action_size: int,
    seeds: Sequence[int],
    progress: ProgressReport | None = None,
) -> list[AttackResult]:
    """`search_attack` for each of `seeds`, in step: what all searches want played next is played together.

    So there is enough to fill large batches and all cores, however few episodes one search needs at a time.

    Raises:
        ValueError: `settings.optimizer` is no optimizer that nevergrad knows.
    """
    logs = [SearchLog(seed, settings.generations) for seed in seeds]
    searches = [_search(settings, epsilon, action_size, log) for log in logs]
    results: dict[int, AttackResult] = {}
    wanted = {index: next(search) for index, search in enumerate(searches)}
    while wanted:
        played = iter(runner.play([candidate for candidates in wanted.values() for candidate in candidates]))
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


def _search(settings: AttackSettings, epsilon: float, action_size: int, log: SearchLog) -> Play[AttackResult]:
    optimizer = _make_optimizer(settings, epsilon, action_size, log.seed)
    # racing needs an optimizer that compares each candidate with one other
    if settings.racing.enabled and settings.optimizer == "DE":
        return (yield from raced_evolution(optimizer, settings, log))
    return (yield from _plain_search(optimizer, settings, log))


def _plain_search(optimizer: Any, settings: AttackSettings, log: SearchLog) -> Play[AttackResult]:
    """Every candidate plays the same `settings.episodes` whole episodes."""
    seeds = np.array([derive_seed(log.seed, "fitness", episode) for episode in range(settings.episodes)])
    best, best_delta = math.inf, np.zeros(0, np.float32)
    for _generation in range(settings.generations):
        candidates = [optimizer.ask() for _ in range(settings.population)]
        deltas = np.stack([candidate.value for candidate in candidates]).astype(np.float32)  # (population, A)
        returns = yield from log.play_returns(deltas, seeds)
        fitness = returns.mean(axis=1)  # (population,)
        for candidate, value in zip(candidates, fitness, strict=True):
            optimizer.tell(candidate, float(value))
        if fitness.min() < best:
            best, best_delta = float(fitness.min()), deltas[fitness.argmin()]
        log.record(best_delta, best)
    return log.result()


def _make_optimizer(settings: AttackSettings, epsilon: float, action_size: int, seed: int) -> Any:
    # the worst faults lie on the boundary: proposals beyond it are clipped to it, and the first ones fill the box
    parameter = nevergrad.p.Array(shape=(action_size,)).set_mutation(sigma=epsilon / 3)
    parameter.set_bounds(-epsilon, epsilon, method="clipping", full_range_sampling=True)
    parameter.random_state = np.random.RandomState(derive_seed(seed, "optimizer"))
    budget = settings.population * settings.generations
    if settings.optimizer == "DE":
        family = nevergrad.families.DifferentialEvolution(popsize=settings.population)
        return family(parameter, budget=budget, num_workers=settings.population)
    registry = nevergrad.optimizers.registry
    if settings.optimizer not in registry:
        near = difflib.get_close_matches(settings.optimizer, list(registry), n=3)
        raise ValueError(f"attack.optimizer={settings.optimizer} is not known to nevergrad; near: {', '.join(near)}")
    return registry[settings.optimizer](parameter, budget=budget, num_workers=settings.population)
