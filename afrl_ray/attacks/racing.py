"""Differential evolution that spends episodes only where they decide whether a child replaces its parent.

Where the episodes are saved:

- A generation starts from few common seeds. Only while noise hides the differences within the population does everyone
  play one more; survivors so gather evidence, and a child must match its parent on all of it, newest seeds first.
- A child plays a quarter of these first, and stops when it is behind by more than chance explains; and it stops in the
  middle of an episode once its total return can no longer fall below what its parent has.
- Episodes are played to a horizon only, and extrapolated from there.
- In the end the population plays whole episodes with seeds that no selection has seen: two, four, eight, …; who is
  told apart from the best drops out, and the last one plays them all. So the result is not the one that was luckiest
  in the search.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from afrl_ray.attacks.fitness import AttackResult, Play, Returns, SearchLog, doubt, noise, separation
from afrl_ray.config import AttackSettings
from afrl_ray.rollouts import Candidate
from afrl_ray.seeding import derive_seed

_FIRST_BLOCK = 4
"""A child first plays one in this many of its episodes."""


def raced_evolution(optimizer: Any, settings: AttackSettings, log: SearchLog) -> Play[AttackResult]:
    """Minimise the mean return with nevergrad's `optimizer`, which must be a differential evolution."""
    population = _Population(optimizer, settings, log)
    yield from population.begin()
    log.record(*population.best())
    while not log.exhausted:
        yield from population.gather_evidence()
        yield from population.evolve()
        log.record(*population.best())
    log.record(*(yield from population.final()))
    return log.result()


class _Population:
    """P candidates and their returns over the same n seeds; nevergrad's population holds the same candidates."""

    def __init__(self, optimizer: Any, settings: AttackSettings, log: SearchLog) -> None:
        self._optimizer = optimizer
        self._settings = settings
        self._racing = settings.racing
        self._log = log
        self._seeds, self._final_seeds = (
            np.array([derive_seed(log.seed, purpose, episode) for episode in range(settings.episodes)])
            for purpose in ("fitness", "final")
        )
        self._rows: dict[str, int] = {}  # nevergrad's name of a line of descent -> row
        self.parameters: NDArray[np.float32] = np.zeros((0, 0), np.float32)  # (P, A)
        self.returns: Returns = np.zeros((0, 0))  # (P, n)
        self._told: Returns = np.zeros(0)  # (P,), what nevergrad believes
        self._negligible = 0.0
        """A difference in fitness that is not worth an episode."""

    def best(self) -> tuple[NDArray[np.float32], float]:
        fitness = self.returns.mean(axis=1)  # (P,)
        return self.parameters[fitness.argmin()], float(fitness.min())

    def begin(self) -> Play[None]:
        candidates = [self._optimizer.ask() for _ in range(self._settings.population)]
        self.parameters = np.stack([candidate.value for candidate in candidates]).astype(np.float32)
        self._log.candidates += len(candidates)
        self._rows = {candidate.uid: row for row, candidate in enumerate(candidates)}
        seeds = self._seeds[: self._racing.first_episodes]
        self.returns = yield from self._log.play_returns(self.parameters, seeds, self._racing.horizon)
        self._told = self.returns.mean(axis=1)
        self._negligible = self._racing.tolerance * float(self._told.std())
        for candidate, fitness in zip(candidates, self._told, strict=True):
            self._optimizer.tell(candidate, float(fitness))

    def gather_evidence(self) -> Play[None]:
        """One more episode for everyone while noise hides who is better."""
        played = self.returns.shape[1]
        hidden = separation(self.returns) < self._racing.separation
        matters = noise(self.returns) / np.sqrt(played) > self._negligible
        if hidden and matters and played < self._settings.episodes:
            seeds = self._seeds[played : played + 1]
            more = yield from self._log.play_returns(self.parameters, seeds, self._racing.horizon)
            self.returns = np.concatenate([self.returns, more], axis=1)

    def evolve(self) -> Play[None]:
        """One child per member; those that win take their parents' places."""
        candidates = [self._optimizer.ask() for _ in range(self._settings.population)]
        parameters = np.stack([candidate.value for candidate in candidates]).astype(np.float32)
        self._log.candidates += len(candidates)
        rows = np.array([self._rows[candidate.heritage["lineage"]] for candidate in candidates])
        remainder = noise(self.returns)
        returns, wins = yield from self._challenge(parameters, self.returns[rows], remainder * np.sqrt(2))
        for candidate, delta, row, own, win in zip(candidates, parameters, rows, returns, wins, strict=True):
            if win:
                # a parent that lost what it was told with must still count as beaten
                self._told[row] = min(own.mean(), self._told[row])
                self.parameters[row], self.returns[row] = delta, own
                self._optimizer.tell(candidate, float(self._told[row]))
            else:
                self._optimizer.tell(candidate, float(np.nextafter(self._told[row], np.inf) + remainder))

    def _challenge(
        self, parameters: NDArray[np.float32], parents: Returns, noise_of_difference: float
    ) -> Play[tuple[Returns, NDArray[np.bool_]]]:
        """Returns (P, n) of the children, and which of them (P,) have at most the mean return of their parents (P, n).

        Losers' rows are incomplete.
        """
        episodes = parents.shape[1]
        newest_first = np.arange(episodes)[::-1]
        returns = np.zeros_like(parents)
        alive = np.ones(len(parameters), np.bool_)
        played = 0
        for target in sorted({max(1, episodes // _FIRST_BLOCK), episodes}):
            known, new = newest_first[:target], newest_first[played:target]
            allowed = target * self._racing.margin * float(doubt(noise_of_difference, target, episodes))
            limits = parents[:, known].sum(axis=1) + allowed  # (P,), of the total return over `known`
            remaining = limits - returns[:, known].sum(axis=1)
            challengers = np.flatnonzero(alive)
            outcomes = yield from self._log.play(
                [
                    Candidate(parameters[i], self._seeds[new], self._racing.horizon, remaining[i], self._log.loss)
                    for i in challengers
                ]
            )
            for i, outcome in zip(challengers, outcomes, strict=True):
                returns[i, new] = outcome.returns
                alive[i] = not outcome.stopped and returns[i, known].sum() <= limits[i]
            played = target
        return returns, alive

    def final(self) -> Play[tuple[NDArray[np.float32], float]]:
        """The best member over all episodes, whole and with fresh seeds, and its mean return."""
        alive = np.arange(len(self.parameters))
        returns = np.zeros((len(alive), 0))
        prior = 2 * noise(self.returns) ** 2  # variance of a difference, worth two episodes' evidence
        episodes, target = self._settings.episodes, min(2, self._settings.episodes)
        while True:
            seeds = self._final_seeds[returns.shape[1] : target]
            more = yield from self._log.play_returns(self.parameters[alive], seeds)
            returns = np.concatenate([returns, more], axis=1)  # (alive, target)
            if target == episodes:
                break
            lead = int(returns.mean(axis=1).argmin())
            differences = returns - returns[lead]
            squares = differences.var(axis=1, ddof=1) * (target - 1)
            margins = self._racing.margin * doubt(np.sqrt((squares + 2 * prior) / (target + 1)), target, episodes)
            keep = (differences.mean(axis=1) <= margins) & (margins > self._negligible)
            keep[lead] = True
            alive, returns = alive[keep], returns[keep]
            target = min(2 * target, episodes) if len(alive) > 1 else episodes
        best = int(returns.mean(axis=1).argmin())
        return self.parameters[alive[best]], float(returns[best].mean())
