"""What an attack search keeps account of, and the statistics by which it compares candidates."""

import math
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from afrl_ray.rollouts import Candidate, CandidateEpisodes

Returns = NDArray[np.float64]
Answer = TypeVar("Answer")
Play = Generator[list[Candidate], list[CandidateEpisodes], Answer]
"""A computation that yields the candidates it wants played and is sent their episodes: whoever drives it may play
those of many searches together, anywhere."""


@dataclass(frozen=True)
class AttackResult:
    """What one search found."""

    delta: NDArray[np.float32]  # (P,), θ
    fitness: float
    """Mean return of the attacked policy over `settings.episodes` whole episodes; lower is a stronger attack."""
    environment_steps: int
    seed: int
    history: tuple[tuple[int, float], ...]
    """(environment steps so far, fitness of the best candidate as then known) after each generation; after racing also
    the result's own."""
    best_deltas: NDArray[np.float32]  # (len(history), P), these best candidates
    candidates: int
    """How many were tried."""


@dataclass
class SearchLog:
    """One search's account, open to whoever reports on it."""

    seed: int
    generations: int
    """After which the search ends, unless it has a budget of steps."""
    step_budget: int | None = None
    environment_steps: int = 0
    candidates: int = 0
    loss: float = 0.0
    """The most that an episode played so far ended below its highest return on the way; 0 where rewards are never
    negative."""
    history: list[tuple[int, float]] = field(default_factory=list)
    best_deltas: list[NDArray[np.float32]] = field(default_factory=list)

    @property
    def best(self) -> float:
        return self.history[-1][1] if self.history else math.inf

    @property
    def share_done(self) -> float:
        if self.step_budget is not None:
            return min(1.0, self.environment_steps / self.step_budget)
        return min(1.0, len(self.history) / self.generations)

    @property
    def exhausted(self) -> bool:
        """Whether no further generation begins."""
        return self.share_done >= 1.0

    def record(self, delta: NDArray[np.float32], fitness: float) -> None:
        """Close a generation whose best candidate is `delta` (P,)."""
        self.history.append((self.environment_steps, float(fitness)))
        self.best_deltas.append(delta.copy())

    def result(self) -> AttackResult:
        """The candidate recorded last."""
        return AttackResult(
            self.best_deltas[-1],
            self.best,
            self.environment_steps,
            self.seed,
            tuple(self.history),
            np.stack(self.best_deltas),
            self.candidates,
        )

    def play(self, candidates: Sequence[Candidate]) -> Play[list[CandidateEpisodes]]:
        """Have `candidates` played, and count the steps."""
        episodes = yield list(candidates)
        self.environment_steps += sum(int(one.lengths.sum()) for one in episodes)
        self.loss = max([self.loss, *(one.loss for one in episodes)])
        return episodes

    def play_returns(
        self, parameters: NDArray[np.float32], seeds: NDArray[np.int64], horizon: float = 1.0
    ) -> Play[Returns]:
        """Returns (n, E) of `parameters` (n, P) over `seeds` (E,), all of them played to the horizon."""
        if not len(seeds):
            return np.zeros((len(parameters), 0))
        episodes = yield from self.play([Candidate(delta, seeds, horizon) for delta in parameters])
        return np.stack([one.returns for one in episodes])


def noise(returns: Returns) -> float:
    """Standard deviation of one episode's return after the effects of its candidate and of its seed are taken out.

    The square root of the residual mean square of a two-way analysis of variance; `returns` is (candidates, seeds).
    0 where there are fewer than two of either.
    """
    count, episodes = returns.shape
    if count < 2 or episodes < 2:
        return 0.0
    residuals = returns - returns.mean(axis=1, keepdims=True) - returns.mean(axis=0) + returns.mean()
    return math.sqrt(float((residuals**2).sum()) / ((count - 1) * (episodes - 1)))


def separation(returns: Returns) -> float:
    """Variance of the candidates' means over what noise alone would make it; about 1 where all are equally good.

    The F ratio of a two-way analysis of variance; `returns` is (candidates, seeds).
    """
    spread = returns.shape[1] * float(returns.mean(axis=1).var(ddof=1))
    remainder = noise(returns) ** 2
    return spread / remainder if remainder > 0 else math.inf


def doubt(noise_of_difference: float | Returns, played: int, planned: int) -> float | Returns:
    """Standard error of a mean difference over `planned` episodes when `played` of them are known.

    σ √(1/played − 1/planned), shape of `noise_of_difference`: 0 when all are known, since it is those that decide.
    """
    return noise_of_difference * math.sqrt(max(0.0, 1 / played - 1 / planned))
