"""Perturbations played over several episodes each, no further than it takes to see that they are beaten."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from afrl_ray.arrays import FloatArray, IntArray
from afrl_ray.config import EnvironmentSettings
from afrl_ray.perturbations import Fault
from afrl_ray.rollouts.episodes import (
    MAX_PARALLEL,
    ActingPolicy,
    EpisodePool,
    single_torch_thread,
)

_CHECK_INTERVAL = 10
"""Steps between two looks at the totals."""

_RATE_WINDOW = 0.1
"""Share of an episode over which the reward rate at its horizon is measured: several strides of a gait."""


@dataclass(frozen=True)
class Candidate:
    """One θ, the episodes to play under it, and the total return at which it is out."""

    delta: FloatArray  # (P,)
    seeds: IntArray  # (E,)
    horizon: float = 1.0
    """Share of the longest possible episode to play. What is left of an episode that still runs there is
    extrapolated from its recent reward rate."""
    limit: float = math.inf
    """Stop once the sum of the returns over all episodes is above this, `loss` per running episode deducted."""
    loss: float = 0.0
    """The most that a running episode is taken to end below where it stands; more than 0 where rewards can be
    negative."""


@dataclass(frozen=True)
class CandidateEpisodes:
    """What a candidate's episodes came to."""

    returns: NDArray[np.float64]  # (E,), extrapolated beyond the horizon; where it was stopped, the returns so far
    lengths: IntArray  # (E,), environment steps played
    stopped: bool
    """It went over its limit before its episodes ended."""
    loss: float
    """The most that one of its episodes ended below its highest return on the way; 0 where it was stopped."""


def play_candidates(
    policy: ActingPolicy,
    environment: EnvironmentSettings,
    candidates: Sequence[Candidate],
    max_parallel: int = MAX_PARALLEL,
    fault: Fault | None = None,
) -> list[CandidateEpisodes]:
    """Play all candidates, stepped together; each one's result is the same whatever the others are.

    Raises:
        ValueError: a horizon is not in (0, 1], or a θ does not fit the environment and `fault`.
    """
    if not candidates:
        return []
    table = _Table(EpisodePool(policy, environment, max_parallel, fault), environment.max_episode_steps, candidates)
    with single_torch_thread():
        while table.pool.step():
            table.after_step()
    return table.results()


class _Table:
    """All candidates' episodes, one row per job of the pool."""

    def __init__(self, pool: EpisodePool, max_episode_steps: int, candidates: Sequence[Candidate]) -> None:
        if not all(0 < candidate.horizon <= 1 for candidate in candidates):
            raise ValueError("a candidate's horizon is a share of the episode, in (0, 1]")
        self.pool = pool
        counts = [len(candidate.seeds) for candidate in candidates]
        self._owners = np.repeat(np.arange(len(candidates)), counts)  # (jobs,), the candidate of each
        self._losses = np.repeat([candidate.loss for candidate in candidates], counts)  # (jobs,)
        self._limits = np.array([candidate.limit for candidate in candidates])  # (candidates,)
        shares = np.repeat([candidate.horizon for candidate in candidates], counts)
        self._max_episode_steps = max_episode_steps
        self._horizons = np.maximum(1, np.rint(shares * max_episode_steps)).astype(np.int64)  # (jobs,)
        self._window = np.minimum(max(1, round(_RATE_WINDOW * max_episode_steps)), self._horizons)
        self._before = np.zeros(len(shares))  # (jobs,), returns where the window begins
        self._highest = np.zeros(len(shares))  # (jobs,), highest returns on the way
        self._expected = np.zeros(len(shares))  # (jobs,), extrapolated from the horizon to the end
        self._stopped = np.zeros(len(candidates), np.bool_)
        for candidate in candidates:
            pool.submit(candidate.seeds, np.tile(candidate.delta, (len(candidate.seeds), 1)), together=True)

    def after_step(self) -> None:
        pool = self.pool
        np.maximum(self._highest, pool.returns, out=self._highest)
        np.copyto(self._before, pool.returns, where=pool.lengths == self._horizons - self._window)
        self._end_at_horizons()
        # a candidate's episodes run in step, and it is looked at when their lengths say so: company does not matter
        due = ~pool.finished & (pool.lengths % _CHECK_INTERVAL == 0) & (pool.lengths > 0)
        if due.any():
            self._stop_beaten(np.unique(self._owners[due]))

    def _end_at_horizons(self) -> None:
        pool = self.pool
        ended = ~pool.finished & (pool.lengths >= self._horizons) & (self._horizons < self._max_episode_steps)
        if ended.any():
            rates = (pool.returns - self._before)[ended] / self._window[ended]
            self._expected[ended] = rates * (self._max_episode_steps - self._horizons[ended])
            pool.cancel(np.flatnonzero(ended))

    def _stop_beaten(self, due: IntArray) -> None:
        certain = self.pool.returns + self._expected - np.where(self.pool.finished, 0.0, self._losses)
        totals = np.bincount(self._owners, weights=certain, minlength=len(self._limits))
        beaten = due[totals[due] > self._limits[due]]
        if len(beaten):
            self._stopped[beaten] = True
            self.pool.cancel(np.flatnonzero(np.isin(self._owners, beaten)))

    def results(self) -> list[CandidateEpisodes]:
        returns = self.pool.returns + self._expected
        losses = np.where(self._stopped[self._owners], 0.0, self._highest - returns)
        outcomes = []
        for index, stopped in enumerate(self._stopped):
            own = self._owners == index
            outcomes.append(
                CandidateEpisodes(
                    returns[own], self.pool.lengths[own], bool(stopped), float(losses[own].max(initial=0.0))
                )
            )
        return outcomes
