"""The search for the worst faults: nevergrad asks for populations, batched rollouts tell their returns."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import nevergrad
import numpy as np
import ray
from numpy.typing import NDArray

from afrl_ray.config import AttackSettings, EnvironmentSettings
from afrl_ray.networks import Policy, limit_threads
from afrl_ray.rollouts import EpisodeRunner, LocalRollouts
from afrl_ray.rollouts.distributed import cluster_cores
from afrl_ray.seeding import derive_seed


class ProgressReport(Protocol):
    """Told how many searches are done; `afrl_ray.pipeline.progress.Reporter` is one."""

    def update(self, completed: int, note: str = "") -> None: ...


@dataclass(frozen=True)
class AttackResult:
    """What one search found."""

    delta: NDArray[np.float32]  # (A,)
    fitness: float
    """Mean return of the attacked policy over the search's own episodes; lower is a stronger attack."""
    environment_steps: int
    seed: int
    history: tuple[tuple[int, float], ...]
    """(environment steps so far, best fitness so far) after each generation."""


def search_attack(
    runner: EpisodeRunner, settings: AttackSettings, epsilon: float, action_size: int, seed: int
) -> AttackResult:
    """Minimise the mean return over δ in [−epsilon, epsilon]^A; every candidate plays episodes with the same seeds.

    Raises:
        ValueError: `settings.optimizer` is no optimizer that nevergrad knows.
    """
    optimizer = _optimizer(settings, epsilon, action_size, seed)
    seeds = np.array([derive_seed(seed, "fitness", episode) for episode in range(settings.episodes)])
    best, worst_delta, steps = np.inf, np.zeros(action_size, np.float32), 0
    history = []
    for _generation in range(settings.generations):
        candidates = [optimizer.ask() for _ in range(settings.population)]
        deltas = np.stack([candidate.value for candidate in candidates]).astype(np.float32)  # (population, A)
        episodes = runner.run(np.tile(seeds, len(deltas)), np.repeat(deltas, len(seeds), axis=0))
        fitness = episodes.returns.reshape(len(deltas), len(seeds)).mean(axis=1)  # (population,)
        for candidate, value in zip(candidates, fitness, strict=True):
            optimizer.tell(candidate, float(value))
        steps += int(episodes.lengths.sum())
        if fitness.min() < best:
            best, worst_delta = float(fitness.min()), deltas[fitness.argmin()]
        history.append((steps, best))
    return AttackResult(worst_delta, best, steps, seed, tuple(history))


def search_bank(
    policy: Policy,
    environment: EnvironmentSettings,
    settings: AttackSettings,
    epsilon: float,
    seeds: Sequence[int],
    workers: int | None = None,
    progress: ProgressReport | None = None,
) -> list[AttackResult]:
    """One independent search per seed, `workers` of them at once as Ray tasks (one per core when not given)."""
    shared = ray.put(policy)
    waiting, running = list(seeds), {}
    results: dict[int, AttackResult] = {}
    try:
        while waiting or running:
            while waiting and len(running) < (workers or cluster_cores()):
                seed = waiting.pop(0)
                running[_search_task.remote(shared, environment, settings, epsilon, seed)] = seed
            [ready], _ = ray.wait(list(running), num_returns=1)
            results[running.pop(ready)] = ray.get(ready)
            if progress:
                progress.update(len(results), f"lowest return {min(r.fitness for r in results.values()):.0f}")
    except BaseException:
        for reference in running:
            ray.cancel(reference)
        raise
    return [results[seed] for seed in seeds]


@ray.remote(num_cpus=1, max_retries=5)  # type: ignore[untyped-decorator]
def _search_task(
    policy: Policy, environment: EnvironmentSettings, settings: AttackSettings, epsilon: float, seed: int
) -> AttackResult:
    limit_threads()
    return search_attack(LocalRollouts(policy, environment), settings, epsilon, policy.action_size, seed)


def _optimizer(settings: AttackSettings, epsilon: float, action_size: int, seed: int) -> Any:
    parameter = nevergrad.p.Array(shape=(action_size,)).set_bounds(-epsilon, epsilon)
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
