"""Whole episodes of one policy under a fault, many of them stepped together in one process."""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from afrl_ray.arrays import FloatArray, IntArray
from afrl_ray.config import EnvironmentSettings
from afrl_ray.envs import VectorEnv, make_vector_env
from afrl_ray.perturbations import Body, Fault, Multiplicative, RunningEpisodes
from afrl_ray.perturbations.batches import missing_rows

MAX_PARALLEL = 64
"""Episodes stepped together: larger batches no longer amortise the policy call, and their states leave the cache."""


class ActingPolicy(Protocol):
    """A deterministic policy, such as `afrl_ray.networks.Policy`."""

    def act(self, observations: FloatArray) -> FloatArray:
        """Actions (n, A) for observations (n, O)."""
        ...


@dataclass(frozen=True)
class Episodes:
    """What came out of N episodes."""

    returns: NDArray[np.float64]  # (N,), undiscounted
    lengths: IntArray  # (N,), environment steps


@dataclass
class _Batch:
    """Environments opened together, and the jobs in those that still run."""

    envs: VectorEnv
    env_ids: NDArray[np.int32]  # (n,)
    jobs: IntArray  # (n,)
    episodes: RunningEpisodes  # n of them

    def keep(self, mask: NDArray[np.bool_]) -> None:
        self.env_ids, self.jobs = self.env_ids[mask], self.jobs[mask]
        self.episodes.keep(mask)


class EpisodePool:
    """Episodes under way; the pool refills itself from its queue as they end or are cancelled.

    A job is one episode of one (seed, θ) in an environment built for it alone, so its result depends on the policy,
    the seed and θ, and neither on the other jobs nor on when it ran. Jobs are numbered in the order of submission;
    `returns`, `lengths` and `finished` are indexed by that number and valid at any time between two steps.

    `parameters` are the θ of `fault`, which is multiplicative, with θ = δ, where none is given.
    """

    def __init__(
        self,
        policy: ActingPolicy,
        environment: EnvironmentSettings,
        max_parallel: int = MAX_PARALLEL,
        fault: Fault | None = None,
    ) -> None:
        """
        Raises:
            ValueError: `max_parallel` is not positive.
        """
        if max_parallel < 1:
            raise ValueError(f"max_parallel must be at least 1, not {max_parallel}")
        self._policy = policy
        self._environment = environment
        self._max_parallel = max_parallel
        self._fault = fault
        self._seeds: IntArray = np.zeros(0, np.int64)
        self._parameters: FloatArray | None = None  # (jobs, P)
        self._waiting: deque[IntArray] = deque()  # groups of jobs that start together
        self._batches: list[_Batch] = []
        self.returns: NDArray[np.float64] = np.zeros(0)  # (jobs,), so far
        self.lengths: IntArray = np.zeros(0, np.int64)  # (jobs,), so far
        self.finished: NDArray[np.bool_] = np.zeros(0, np.bool_)  # (jobs,), also True where cancelled

    def submit(self, seeds: ArrayLike, parameters: ArrayLike, together: bool = False) -> IntArray:
        """Queue one episode for each of `seeds` (n,) under `parameters` (n, P); returns the jobs' numbers (n,).

        `together` makes them start on the same step, so that they can be compared with each other on the way.

        Raises:
            ValueError: the shapes do not agree.
        """
        new_seeds = np.asarray(seeds, dtype=np.int64)
        new_parameters = np.asarray(parameters, dtype=np.float32)
        if new_seeds.ndim != 1 or new_parameters.ndim != 2 or len(new_seeds) != len(new_parameters):
            raise ValueError(f"need seeds (N,) and parameters (N, P), not {new_seeds.shape} and {new_parameters.shape}")
        count = len(new_seeds)
        first = len(self._seeds)
        self._seeds = np.concatenate([self._seeds, new_seeds])
        self._parameters = (
            new_parameters if self._parameters is None else np.concatenate([self._parameters, new_parameters])
        )
        self.returns = np.concatenate([self.returns, np.zeros(count)])
        self.lengths = np.concatenate([self.lengths, np.zeros(count, np.int64)])
        self.finished = np.concatenate([self.finished, np.zeros(count, np.bool_)])
        jobs = np.arange(first, first + count)
        if count:
            self._waiting.extend([jobs] if together else np.split(jobs, count))
        return jobs

    def cancel(self, jobs: ArrayLike) -> None:
        """Stop `jobs` where they are, running or queued; their returns and lengths so far remain."""
        self.finished[np.asarray(jobs, dtype=np.int64)] = True
        self._drop_finished()

    def step(self) -> bool:
        """Advance every running episode by one step; False when there is nothing left to run."""
        self._refill()
        if not self._batches:
            return False
        observations = np.concatenate([batch.episodes.observations for batch in self._batches])
        intended = _act(self._policy, observations)
        start = 0
        for batch in self._batches:
            end = start + len(batch.jobs)
            result = batch.envs.step(batch.episodes.executed(intended[start:end]), batch.env_ids)
            batch.episodes.observe(result.observations)
            self.returns[batch.jobs] += result.rewards
            self.lengths[batch.jobs] += 1
            self.finished[batch.jobs] = result.terminations | result.truncations
            start = end
        self._drop_finished()
        return True

    def _drop_finished(self) -> None:
        for batch in self._batches:
            running = ~self.finished[batch.jobs]
            if not running.all():
                batch.keep(running)
            if not len(batch.jobs):
                batch.envs.close()
        self._batches = [batch for batch in self._batches if len(batch.jobs)]

    def _refill(self) -> None:
        """Open the next environments once half of the places are free: few batches, and rarely a thin one."""
        free = self._max_parallel - sum(len(batch.jobs) for batch in self._batches)
        if not self._waiting or 2 * free < self._max_parallel:
            return
        groups: list[IntArray] = []
        while self._waiting:
            group = self._waiting[0][~self.finished[self._waiting[0]]]
            nothing_runs = not groups and not self._batches
            if len(group) > free and not nothing_runs:
                break
            self._waiting.popleft()
            groups.append(group)
            free -= len(group)
        jobs = np.concatenate(groups) if groups else np.zeros(0, np.int64)
        if len(jobs):
            self._open(jobs)

    def _open(self, jobs: IntArray) -> None:
        assert self._parameters is not None  # since there are jobs
        seeds = self._seeds[jobs]
        envs = make_vector_env(self._environment, [int(seed) for seed in seeds])
        fault = self._fault or _multiplicative(envs)
        env_ids = np.arange(len(jobs), dtype=np.int32)
        episodes = RunningEpisodes(fault, self._parameters[jobs], seeds, envs.reset())
        self._batches.append(_Batch(envs, env_ids, jobs, episodes))


def _multiplicative(envs: VectorEnv) -> Fault:
    space = envs.action_space
    return Multiplicative(1.0, Body(space.low, space.high, np.ones(envs.observation_space.shape, np.float32)))


def run_episodes(
    policy: ActingPolicy,
    environment: EnvironmentSettings,
    seeds: ArrayLike,
    parameters: ArrayLike,
    max_parallel: int = MAX_PARALLEL,
    fault: Fault | None = None,
) -> Episodes:
    """One episode for each of `seeds` (N,) under `parameters` (N, P), with at most `max_parallel` of them at a time.

    `parameters` are those of `fault`; of a multiplicative one where none is given.

    Raises:
        ValueError: the shapes do not agree with each other or with the environment.
    """
    pool = EpisodePool(policy, environment, max_parallel, fault)
    pool.submit(seeds, parameters)
    with single_torch_thread():
        while pool.step():
            pass
    return Episodes(pool.returns, pool.lengths)


@contextmanager
def single_torch_thread() -> Iterator[None]:
    """Compute with one torch thread: small batches gain nothing from more, and processes share the cores."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _act(policy: ActingPolicy, observations: FloatArray) -> FloatArray:
    padding = missing_rows(len(observations))
    if not padding:
        return policy.act(observations)
    padded = np.concatenate([observations, np.zeros((padding, observations.shape[1]), np.float32)])
    return policy.act(padded)[: len(observations)]
