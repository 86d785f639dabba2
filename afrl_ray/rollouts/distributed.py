"""The same episodes, spread over Ray tasks."""

from collections.abc import Sequence
from functools import partial
from typing import Protocol

import numpy as np
import ray
from numpy.typing import ArrayLike

from afrl_ray.config import EnvironmentSettings, ResourceRequest
from afrl_ray.perturbations import Fault
from afrl_ray.rollouts.candidates import Candidate, CandidateEpisodes, play_candidates
from afrl_ray.rollouts.episodes import MAX_PARALLEL, ActingPolicy, Episodes, run_episodes
from afrl_ray.rollouts.fan_out import cluster_room, fan_out
from afrl_ray.scheduling import bundle

_MOST_EPISODES_PER_TASK = 2 * MAX_PARALLEL
"""Some seconds of work: after that a task's core can go to a trial."""


class EpisodeRunner(Protocol):
    """Plays episodes of one policy in one kind of environment, wherever they run."""

    def run(self, seeds: ArrayLike, parameters: ArrayLike, fault: Fault | None = None) -> Episodes:
        """One episode for each of `seeds` (N,) under `parameters` (N, P) of `fault`.

        Without a `fault` it is multiplicative.
        """
        ...


class CandidateRunner(Protocol):
    """Plays candidates against one policy in one kind of environment, wherever they run."""

    def play(self, candidates: Sequence[Candidate], fault: Fault | None = None) -> list[CandidateEpisodes]:
        """The episodes of each candidate under `fault`, in their order."""
        ...


class LocalRollouts:
    """Episodes in this process: an `EpisodeRunner` and a `CandidateRunner`."""

    def __init__(
        self, policy: ActingPolicy, environment: EnvironmentSettings, max_parallel: int = MAX_PARALLEL
    ) -> None:
        self._policy = policy
        self._environment = environment
        self._max_parallel = max_parallel

    def run(self, seeds: ArrayLike, parameters: ArrayLike, fault: Fault | None = None) -> Episodes:
        return run_episodes(self._policy, self._environment, seeds, parameters, self._max_parallel, fault)

    def play(self, candidates: Sequence[Candidate], fault: Fault | None = None) -> list[CandidateEpisodes]:
        return play_candidates(self._policy, self._environment, candidates, self._max_parallel, fault)


class DistributedRollouts:
    """Episodes in Ray tasks; the results are those of `LocalRollouts`, however many workers."""

    def __init__(
        self,
        policy: ActingPolicy,
        environment: EnvironmentSettings,
        workers: int | None = None,
        request: ResourceRequest | None = None,
    ) -> None:
        """Put the policy into the object store, once. `workers` tasks run together, each with what `request` asks for
        (one core); as many as the cluster has room for when not given.

        Raises:
            ValueError: `workers` is not positive.
        """
        self._resources = bundle(request or ResourceRequest())
        self.workers = cluster_room(self._resources) if workers is None else workers
        if self.workers < 1:
            raise ValueError(f"workers must be at least 1, not {self.workers}")
        self._policy = ray.put(policy)
        self._environment = environment

    def run(self, seeds: ArrayLike, parameters: ArrayLike, fault: Fault | None = None) -> Episodes:
        """One episode for each of `seeds` (N,) under `parameters` (N, P); interrupts and dead tasks as in `fan_out`."""
        all_seeds, all_parameters = np.asarray(seeds), np.asarray(parameters)
        count = self._share_count(len(all_seeds), len(all_seeds))
        shares = np.array_split(np.arange(len(all_seeds)), max(1, count))
        parts = fan_out(
            partial(run_episodes, fault=fault),
            [(self._policy, self._environment, all_seeds[share], all_parameters[share]) for share in shares],
            self._resources,
            self.workers,
        )
        return Episodes(
            np.concatenate([part.returns for part in parts]), np.concatenate([part.lengths for part in parts])
        )

    def play(self, candidates: Sequence[Candidate], fault: Fault | None = None) -> list[CandidateEpisodes]:
        """The episodes of each candidate, in their order; interrupts and dead tasks as in `fan_out`."""
        episodes = sum(len(candidate.seeds) for candidate in candidates)
        count = self._share_count(episodes, len(candidates))
        # dealt out in turn, so that each worker has as many of every search
        shares = [(self._policy, self._environment, list(candidates[share::count])) for share in range(count)]
        parts = fan_out(partial(play_candidates, fault=fault), shares, self._resources, self.workers)
        return [parts[index % count][index // count] for index in range(len(candidates))]

    def _share_count(self, episodes: int, most: int) -> int:
        """One share per worker, and more where they would be long; never more than can be told apart."""
        return min(max(self.workers, -(-episodes // _MOST_EPISODES_PER_TASK)), most)
