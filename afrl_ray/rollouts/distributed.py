"""The same episodes, spread over Ray tasks."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import ray
from numpy.typing import ArrayLike

from afrl_ray.config import EnvironmentSettings
from afrl_ray.perturbations import Fault
from afrl_ray.rollouts.candidates import Candidate, CandidateEpisodes, play_candidates
from afrl_ray.rollouts.episodes import MAX_PARALLEL, ActingPolicy, Episodes, run_episodes


class EpisodeRunner(Protocol):
    """Plays episodes of one policy in one kind of environment, wherever they run."""

    def run(self, seeds: ArrayLike, deltas: ArrayLike, fault: Fault | None = None) -> Episodes:
        """One episode for each of `seeds` (N,) under `deltas` (N, P), the parameters of `fault`.

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

    def run(self, seeds: ArrayLike, deltas: ArrayLike, fault: Fault | None = None) -> Episodes:
        return run_episodes(self._policy, self._environment, seeds, deltas, self._max_parallel, fault)

    def play(self, candidates: Sequence[Candidate], fault: Fault | None = None) -> list[CandidateEpisodes]:
        return play_candidates(self._policy, self._environment, candidates, self._max_parallel, fault)


class DistributedRollouts:
    """Episodes in Ray tasks of one core each; the results are those of `LocalRollouts`, however many workers."""

    def __init__(self, policy: ActingPolicy, environment: EnvironmentSettings, workers: int | None = None) -> None:
        """Put the policy into the object store, once. `workers` tasks run together; one per core when not given.

        Raises:
            ValueError: `workers` is not positive.
        """
        self.workers = cluster_cores() if workers is None else workers
        if self.workers < 1:
            raise ValueError(f"workers must be at least 1, not {self.workers}")
        self._policy = ray.put(policy)
        self._environment = environment

    def run(self, seeds: ArrayLike, deltas: ArrayLike, fault: Fault | None = None) -> Episodes:
        """One episode for each of `seeds` (N,) under `deltas` (N, P).

        A task that died with its node is run again by Ray. An interrupt cancels what is still running.
        """
        all_seeds, all_deltas = np.asarray(seeds), np.asarray(deltas)
        shares = np.array_split(np.arange(len(all_seeds)), min(self.workers, max(1, len(all_seeds))))
        parts = gather(
            [
                _run_share.remote(self._policy, self._environment, all_seeds[share], all_deltas[share], fault)
                for share in shares
            ]
        )
        return Episodes(
            np.concatenate([part.returns for part in parts]), np.concatenate([part.lengths for part in parts])
        )

    def play(self, candidates: Sequence[Candidate], fault: Fault | None = None) -> list[CandidateEpisodes]:
        """The episodes of each candidate, in their order; interrupts and dead tasks as in `run`."""
        count = min(self.workers, len(candidates))
        # dealt out in turn, so that each worker has as many of every search
        shares = [list(candidates[worker::count]) for worker in range(count)]
        parts = gather([_play_share.remote(self._policy, self._environment, share, fault) for share in shares])
        return [parts[index % count][index // count] for index in range(len(candidates))]


def cluster_cores() -> int:
    """Cores of all nodes of the Ray cluster this process is connected to."""
    return max(1, int(ray.cluster_resources().get("CPU", 1)))


def gather(references: Sequence[Any]) -> list[Any]:
    """The tasks' results in order; an interrupt or a failed task cancels the rest."""
    try:
        return list(ray.get(list(references)))
    except BaseException:
        for reference in references:
            ray.cancel(reference, force=False)
        raise


@ray.remote(num_cpus=1, max_retries=5)  # type: ignore[untyped-decorator]
def _run_share(
    policy: ActingPolicy, environment: EnvironmentSettings, seeds: Any, deltas: Any, fault: Fault | None
) -> Episodes:
    return run_episodes(policy, environment, seeds, deltas, fault=fault)


@ray.remote(num_cpus=1, max_retries=5)  # type: ignore[untyped-decorator]
def _play_share(
    policy: ActingPolicy, environment: EnvironmentSettings, candidates: list[Candidate], fault: Fault | None
) -> list[CandidateEpisodes]:
    return play_candidates(policy, environment, candidates, fault=fault)
