"""The search for the worst faults: nevergrad asks for populations, batched rollouts tell their returns."""

import difflib
import math
from collections.abc import Sequence
from typing import Any, Protocol

import nevergrad
import numpy as np
from nevergrad.optimization import metamodel
from numpy.typing import NDArray

from afrl_ray.attacks.fitness import AttackResult, Play, SearchLog
from afrl_ray.attacks.racing import raced_evolution
from afrl_ray.config import AttackSettings, EnvironmentSettings
from afrl_ray.networks import Policy
from afrl_ray.perturbations import Box, Fault, FiniteSet
from afrl_ray.rollouts import CandidateRunner, DistributedRollouts
from afrl_ray.seeding import derive_seed

# NGOpt's model of the objective gives its value as an array of one number, which NumPy 2.4's own float refuses
metamodel.float = lambda value: np.asarray(value).item()


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
        ValueError: `settings.optimizer` is no optimizer that nevergrad knows.
    """
    return search_attacks(DistributedRollouts(policy, environment, workers), settings, fault, seeds)


def search_attack(runner: CandidateRunner, settings: AttackSettings, fault: Fault, seed: int) -> AttackResult:
    """Minimise the mean return over the parameters θ of `fault`: a search in a box, all members of a finite set.

    Raises:
        ValueError: `settings.optimizer` is no optimizer that nevergrad knows.
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
        ValueError: `settings.optimizer` is no optimizer that nevergrad knows.
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
    optimizer = _make_optimizer(settings, parameters, log.seed)
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
    """Every candidate plays the same `settings.episodes` whole episodes."""
    seeds = _fitness_seeds(settings, log)
    best, best_delta = math.inf, np.zeros(0, np.float32)
    while not log.exhausted:
        candidates = [optimizer.ask() for _ in range(settings.population)]
        log.candidates += len(candidates)
        deltas = np.stack([candidate.value for candidate in candidates]).astype(np.float32)  # (population, P)
        returns = yield from log.play_returns(deltas, seeds)
        fitness = returns.mean(axis=1)  # (population,)
        for candidate, value in zip(candidates, fitness, strict=True):
            optimizer.tell(candidate, float(value))
        if fitness.min() < best:
            best, best_delta = float(fitness.min()), deltas[fitness.argmin()]
        log.record(best_delta, best)
    return log.result()


def _fitness_seeds(settings: AttackSettings, log: SearchLog) -> NDArray[np.int64]:
    return np.array([derive_seed(log.seed, "fitness", episode) for episode in range(settings.episodes)])


def _make_optimizer(settings: AttackSettings, box: Box, seed: int) -> Any:
    # the worst faults lie on the boundary: proposals beyond it are clipped to it, and the first ones fill the box
    center = np.full(box.size, (box.low + box.high) / 2)
    parameter = nevergrad.p.Array(init=center).set_mutation(sigma=(box.high - box.low) / 6)
    parameter.set_bounds(box.low, box.high, method="clipping", full_range_sampling=True)
    parameter.random_state = np.random.RandomState(derive_seed(seed, "optimizer"))
    budget = settings.population * settings.generations
    if settings.optimizer == "DE":
        family = nevergrad.families.DifferentialEvolution(popsize=settings.population)
        return family(parameter, budget=budget, num_workers=settings.population)
    require_optimizer(settings.optimizer)
    return nevergrad.optimizers.registry[settings.optimizer](parameter, budget=budget, num_workers=settings.population)


def require_optimizer(optimizer: str, place: str | None = None) -> None:
    """`place` says in the error where the optimizer stands; `attack.optimizer` where None.

    Raises:
        ValueError: nevergrad knows no such optimizer.
    """
    names = {"DE", *nevergrad.optimizers.registry}
    if optimizer not in names:
        near = difflib.get_close_matches(optimizer, names, n=3)
        hint = f"near: {', '.join(near)}" if near else "write DE"
        raise ValueError(f"{place or f'attack.optimizer={optimizer}'} is not known to nevergrad; {hint}")
