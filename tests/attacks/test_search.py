import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch

from afrl_ray.attacks.fitness import SearchLog, doubt, noise, separation
from afrl_ray.attacks.search import search_attack, search_attacks, search_bank
from afrl_ray.config import AttackSettings, EnvironmentSettings, RacingSettings
from afrl_ray.networks import Policy
from afrl_ray.rollouts import Candidate, CandidateEpisodes, LocalRollouts

LENGTH = 100
PLAIN = RacingSettings(enabled=False)


class Synthetic:
    """Episodes of 100 steps that pay `mean(δ)` in all plus `noise` · N(0, 1), drawn from (δ, seed), evenly."""

    def __init__(self, mean: Callable[[np.ndarray], float], noise: float = 0.0) -> None:
        self.mean, self.noise = mean, noise
        self.rounds: list[int] = []

    def play(self, candidates: Sequence[Candidate]) -> list[CandidateEpisodes]:
        self.rounds.append(len(candidates))
        return [self._play(candidate) for candidate in candidates]

    def _play(self, candidate: Candidate) -> CandidateEpisodes:
        totals = []
        for seed in candidate.seeds:
            key = [int(seed), *np.ascontiguousarray(candidate.delta).view(np.uint32)]
            totals.append(self.mean(candidate.delta) + self.noise * np.random.default_rng(key).normal())
        full = np.array(totals)
        horizon = int(np.ceil(candidate.horizon * LENGTH))
        for step in range(10, horizon, 10):
            if (full * step / LENGTH - candidate.loss).sum() > candidate.limit:
                return CandidateEpisodes(full * step / LENGTH, np.full(len(full), step), True, 0.0)
        return CandidateEpisodes(full, np.full(len(full), horizon), False, max(0.0, -full.min()))


def bowl(delta: np.ndarray) -> float:
    """1000 far away, 100 at its lowest point, which lies on the boundary of the box."""
    return 100 + 900 * float(np.mean(((delta - [0.1, -0.3, 0.3]) / 0.6) ** 2))


def test_noise_and_separation_by_hand() -> None:
    # candidates 4 apart, seeds 2 apart, residuals ±1
    returns = np.array([[0.0, 2.0], [4.0, 6.0]]) + np.array([[1.0, -1.0], [-1.0, 1.0]])
    assert noise(returns) == pytest.approx(2.0)  # 4 · 1² over one degree of freedom
    assert separation(returns) == pytest.approx(2 * 8 / 4)  # variance of (1, 5) is 8
    assert noise(np.ones((5, 1))) == 0.0
    assert separation(np.array([[1.0, 1.0], [2.0, 2.0]])) == np.inf
    assert doubt(2.0, 1, 4) == pytest.approx(np.sqrt(3))
    assert doubt(2.0, 4, 4) == 0.0


@pytest.mark.parametrize("racing", [PLAIN, RacingSettings()])
def test_the_known_optimum_is_found(racing: RacingSettings) -> None:
    settings = AttackSettings(episodes=2, generations=20, racing=racing)
    result = search_attack(Synthetic(bowl), settings, 0.3, 3, seed=1)
    np.testing.assert_allclose(result.delta, [0.1, -0.3, 0.3], atol=0.03)
    assert result.delta.dtype == np.float32
    assert result.fitness == pytest.approx(bowl(result.delta))
    assert np.abs(result.delta).max() <= np.float32(0.3)
    assert result.history[-1] == (result.environment_steps, result.fitness)
    assert result.best_deltas.shape == (len(result.history), 3)
    assert [steps for steps, _ in result.history] == sorted(steps for steps, _ in result.history)


def test_other_optimizers_by_name() -> None:
    settings = AttackSettings(optimizer="CMA", episodes=1, generations=20)
    result = search_attack(Synthetic(bowl), settings, 0.3, 3, seed=1)
    assert result.fitness < 110
    assert result.environment_steps == 16 * 20 * LENGTH
    with pytest.raises(ValueError, match=r"attack\.optimizer=CMAA is not known to nevergrad; near: CMA"):
        search_attack(Synthetic(bowl), settings.model_copy(update={"optimizer": "CMAA"}), 0.3, 3, seed=1)


def test_plain_fitness_is_the_mean_over_all_episodes() -> None:
    settings = AttackSettings(episodes=3, generations=2, population=5, racing=PLAIN)
    runner = Synthetic(bowl, noise=50.0)
    result = search_attack(runner, settings, 0.3, 3, seed=1)
    assert runner.rounds == [5, 5]
    assert result.environment_steps == 2 * 5 * 3 * LENGTH
    assert min(fitness for _, fitness in result.history) == result.fitness


def test_racing_needs_at_most_half_of_the_steps_and_is_not_weaker() -> None:
    settings = AttackSettings(episodes=8)
    runner = Synthetic(bowl, noise=100.0)
    raced = search_attacks(runner, settings, 0.3, 3, range(10))
    plain = search_attacks(runner, settings.model_copy(update={"racing": PLAIN}), 0.3, 3, range(10))
    assert sum(one.environment_steps for one in raced) < 0.5 * sum(one.environment_steps for one in plain)
    strength, plain_strength = ([bowl(one.delta) for one in results] for results in (raced, plain))
    assert np.mean(strength) < np.mean(plain_strength) + 10
    # the plain search believes the luck that chose its result
    flattery, plain_flattery = (
        np.mean([bowl(one.delta) - one.fitness for one in results]) for results in (raced, plain)
    )
    assert flattery < 0.8 * plain_flattery


def test_racing_stops_within_an_episode() -> None:
    settings = AttackSettings(episodes=2, racing=RacingSettings(horizon=1.0))
    stopping, patient = (
        search_attack(Synthetic(bowl), settings, 0.3, 3, seed=1),
        search_attack(_Patient(bowl), settings, 0.3, 3, seed=1),
    )
    np.testing.assert_array_equal(stopping.delta, patient.delta)
    assert stopping.environment_steps < patient.environment_steps


class _Patient(Synthetic):
    def play(self, candidates: Sequence[Candidate]) -> list[CandidateEpisodes]:
        return super().play([dataclasses.replace(candidate, limit=np.inf) for candidate in candidates])


def test_the_number_of_episodes_follows_the_noise() -> None:
    settings = AttackSettings(episodes=8, racing=RacingSettings(horizon=1.0))
    quiet = search_attack(Synthetic(bowl, noise=1.0), settings, 0.3, 3, seed=1)
    loud = search_attack(Synthetic(bowl, noise=500.0), settings, 0.3, 3, seed=1)
    assert loud.environment_steps > 1.5 * quiet.environment_steps


def test_a_search_depends_on_its_own_seed_alone() -> None:
    runner = Synthetic(bowl, noise=100.0)
    settings = AttackSettings(generations=4)
    one, two = search_attacks(runner, settings, 0.3, 3, [5, 6])
    again = search_attack(runner, settings, 0.3, 3, seed=5)
    np.testing.assert_array_equal(one.delta, again.delta)
    assert one.history == again.history
    assert not np.array_equal(one.delta, two.delta)
    assert (one.seed, two.seed) == (5, 6)
    assert search_attacks(runner, settings, 0.3, 3, []) == []


def test_progress_never_says_more_than_is_done() -> None:
    class Report:
        def __init__(self) -> None:
            self.completed: list[int] = []
            self.notes: list[str] = []

        def update(self, completed: int, note: str = "") -> None:
            self.completed.append(completed)
            self.notes.append(note)

    report = Report()
    search_attacks(Synthetic(bowl), AttackSettings(generations=6), 0.3, 3, range(4), report)
    assert report.completed == sorted(report.completed)
    assert set(report.completed) == {0, 1, 2, 3, 4}
    assert report.completed[-1] == 4
    assert report.completed[-2] < 4
    assert "lowest return 1" in report.notes[-1]
    assert "environment steps" in report.notes[-1]


def test_an_interrupt_is_not_swallowed() -> None:
    class Interrupted(Synthetic):
        def play(self, candidates: Sequence[Candidate]) -> list[CandidateEpisodes]:
            if self.rounds:
                raise KeyboardInterrupt
            return super().play(candidates)

    with pytest.raises(KeyboardInterrupt):
        search_attack(Interrupted(bowl), AttackSettings(), 0.3, 3, seed=1)


def test_a_log_without_generations_has_no_best() -> None:
    log = SearchLog(seed=0, generations=2)
    assert (log.best, log.share_done) == (np.inf, 0.0)
    log.record(np.zeros(3, np.float32), 7.0)
    assert (log.best, log.share_done) == (7.0, 0.5)


@pytest.mark.slow
@pytest.mark.usefixtures("ray_session")
def test_a_bank_is_the_same_however_many_workers() -> None:
    torch.manual_seed(3)
    policy = Policy(11, -np.ones(3), np.ones(3), (32, 32))
    environment = EnvironmentSettings(id="Hopper-v4", max_episode_steps=100)
    settings = AttackSettings(population=4, generations=3, episodes=3)
    local = search_attacks(LocalRollouts(policy, environment), settings, 0.3, 3, [1, 2])
    for workers in (1, 3):
        bank = search_bank(policy, environment, settings, 0.3, [1, 2], workers)
        for one, other in zip(bank, local, strict=True):
            np.testing.assert_array_equal(one.delta, other.delta)
            assert (one.fitness, one.history, one.seed) == (other.fitness, other.history, other.seed)
