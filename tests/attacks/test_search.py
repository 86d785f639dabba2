import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch

from afrl_ray.attacks.fitness import SearchLog, doubt, noise, separation
from afrl_ray.attacks.optimizers import require_optimizer
from afrl_ray.attacks.search import search_attack, search_attacks, search_bank
from afrl_ray.config import AttackSettings, EnvironmentSettings, RacingSettings
from afrl_ray.networks import Policy
from afrl_ray.perturbations import Body, Fault, Multiplicative
from afrl_ray.perturbations.kinds import DeadJoint, Saturation
from afrl_ray.rollouts import Candidate, CandidateEpisodes, LocalRollouts

LENGTH = 100
BODY = Body(-np.ones(3, np.float32), np.ones(3, np.float32), np.ones(11, np.float32))
FAULT = Multiplicative(0.3, BODY)
PLAIN = RacingSettings(enabled=False)


class Synthetic:
    """Episodes of 100 steps that pay `mean(δ)` in all plus `noise` · N(0, 1), drawn from (δ, seed), evenly."""

    def __init__(self, mean: Callable[[np.ndarray], float], noise: float = 0.0) -> None:
        self.mean, self.noise = mean, noise
        self.rounds: list[int] = []
        self.faults: set[Fault | None] = set()

    def play(self, candidates: Sequence[Candidate], fault: Fault | None = None) -> list[CandidateEpisodes]:
        self.faults.add(fault)
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
    result = search_attack(Synthetic(bowl), settings, FAULT, seed=1)
    np.testing.assert_allclose(result.delta, [0.1, -0.3, 0.3], atol=0.03)
    assert result.delta.dtype == np.float32
    assert result.fitness == pytest.approx(bowl(result.delta))
    assert np.abs(result.delta).max() <= np.float32(0.3)
    assert result.history[-1] == (result.environment_steps, result.fitness)
    assert result.best_deltas.shape == (len(result.history), 3)
    assert [steps for steps, _ in result.history] == sorted(steps for steps, _ in result.history)


def test_other_optimizers_by_name() -> None:
    settings = AttackSettings(optimizer="CMA", episodes=1, generations=20)
    result = search_attack(Synthetic(bowl), settings, FAULT, seed=1)
    assert result.fitness < 110
    assert result.environment_steps == 16 * 20 * LENGTH
    with pytest.raises(ValueError, match=r"attack\.optimizer=CMAA is not known to nevergrad; near: CMA"):
        search_attack(Synthetic(bowl), settings.model_copy(update={"optimizer": "CMAA"}), FAULT, seed=1)


def test_plain_fitness_is_the_mean_over_all_episodes() -> None:
    settings = AttackSettings(episodes=3, generations=2, population=5, racing=PLAIN)
    runner = Synthetic(bowl, noise=50.0)
    result = search_attack(runner, settings, FAULT, seed=1)
    assert runner.rounds == [5, 5]
    assert runner.faults == {FAULT}
    assert result.environment_steps == 2 * 5 * 3 * LENGTH
    assert min(fitness for _, fitness in result.history) == result.fitness


def test_racing_needs_at_most_half_of_the_steps_and_is_not_weaker() -> None:
    settings = AttackSettings(episodes=8)
    runner = Synthetic(bowl, noise=100.0)
    raced = search_attacks(runner, settings, FAULT, range(10))
    plain = search_attacks(runner, settings.model_copy(update={"racing": PLAIN}), FAULT, range(10))
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
        search_attack(Synthetic(bowl), settings, FAULT, seed=1),
        search_attack(_Patient(bowl), settings, FAULT, seed=1),
    )
    np.testing.assert_array_equal(stopping.delta, patient.delta)
    assert stopping.environment_steps < patient.environment_steps


class _Patient(Synthetic):
    def play(self, candidates: Sequence[Candidate], fault: Fault | None = None) -> list[CandidateEpisodes]:
        return super().play([dataclasses.replace(candidate, limit=np.inf) for candidate in candidates], fault)


def test_the_number_of_episodes_follows_the_noise() -> None:
    settings = AttackSettings(episodes=8, racing=RacingSettings(horizon=1.0))
    quiet = search_attack(Synthetic(bowl, noise=1.0), settings, FAULT, seed=1)
    loud = search_attack(Synthetic(bowl, noise=500.0), settings, FAULT, seed=1)
    assert loud.environment_steps > 1.5 * quiet.environment_steps


def test_a_search_depends_on_its_own_seed_alone() -> None:
    runner = Synthetic(bowl, noise=100.0)
    settings = AttackSettings(generations=4)
    one, two = search_attacks(runner, settings, FAULT, [5, 6])
    again = search_attack(runner, settings, FAULT, seed=5)
    np.testing.assert_array_equal(one.delta, again.delta)
    assert one.history == again.history
    assert not np.array_equal(one.delta, two.delta)
    assert (one.seed, two.seed) == (5, 6)
    assert search_attacks(runner, settings, FAULT, []) == []


def test_progress_never_says_more_than_is_done() -> None:
    class Report:
        def __init__(self) -> None:
            self.completed: list[int] = []
            self.notes: list[str] = []

        def update(self, completed: int, note: str = "") -> None:
            self.completed.append(completed)
            self.notes.append(note)

    report = Report()
    search_attacks(Synthetic(bowl), AttackSettings(generations=6), FAULT, range(4), report)
    assert report.completed == sorted(report.completed)
    assert set(report.completed) == {0, 1, 2, 3, 4}
    assert report.completed[-1] == 4
    assert report.completed[-2] < 4
    assert "lowest return 1" in report.notes[-1]
    assert "environment steps" in report.notes[-1]


def test_an_interrupt_is_not_swallowed() -> None:
    class Interrupted(Synthetic):
        def play(self, candidates: Sequence[Candidate], fault: Fault | None = None) -> list[CandidateEpisodes]:
            if self.rounds:
                raise KeyboardInterrupt
            return super().play(candidates, fault)

    with pytest.raises(KeyboardInterrupt):
        search_attack(Interrupted(bowl), AttackSettings(), FAULT, seed=1)


def test_a_log_without_generations_has_no_best() -> None:
    log = SearchLog(seed=0, generations=2)
    assert (log.best, log.share_done) == (np.inf, 0.0)
    log.record(np.zeros(3, np.float32), 7.0)
    assert (log.best, log.share_done) == (7.0, 0.5)


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["CMA", "PSO", "NGOpt", "RandomSearch"])
def test_every_attacker_keeps_to_the_box_and_to_its_budget_of_steps(optimizer: str) -> None:
    """NGOpt fits a model from the third generation on."""
    settings = AttackSettings(optimizer=optimizer, episodes=2, population=8, generations=20, step_budget=7000)
    result = search_attack(Synthetic(bowl), settings, FAULT, seed=1)
    per_generation = 8 * 2 * LENGTH
    assert result.environment_steps == 5 * per_generation  # the first number of generations that is not below it
    assert len(result.history) == 5
    assert np.abs(result.best_deltas).max() <= np.float32(0.3)
    assert result.fitness == pytest.approx(bowl(result.delta))
    first, last = (bowl(delta) for delta in result.best_deltas[[0, -1]])
    assert last < 0.9 * first
    again = search_attack(Synthetic(bowl), settings, FAULT, seed=1)
    np.testing.assert_array_equal(again.best_deltas, result.best_deltas)


def test_racing_keeps_to_its_budget_but_for_the_final_choice() -> None:
    settings = AttackSettings(episodes=4)
    unbounded = search_attack(Synthetic(bowl, noise=50.0), settings, FAULT, seed=1)
    budget = unbounded.history[4][0]
    bounded = settings.model_copy(update={"step_budget": budget})
    result = search_attack(Synthetic(bowl, noise=50.0), bounded, FAULT, seed=1)
    assert result.history[:-1] == unbounded.history[:5]  # what comes after is the choice among the population
    assert result.environment_steps > budget
    log = SearchLog(seed=0, generations=100, step_budget=1000, environment_steps=500)
    assert (log.share_done, log.exhausted) == (0.5, False)


def test_other_faults_are_searched_in_their_own_box() -> None:
    """A saturation of two fifths hurts most where the joint keeps 0.6 of its range."""
    fault = Saturation(0.4, BODY)
    settings = AttackSettings(episodes=2, generations=20)
    result = search_attack(Synthetic(lambda theta: 100 * float(theta.sum())), settings, fault, seed=1)
    np.testing.assert_allclose(result.delta, 0.6, atol=0.02)
    assert result.best_deltas.min() >= np.float32(0.6)
    assert result.best_deltas.max() <= 1.0


def test_every_member_of_a_finite_set_is_tried_once_whatever_the_optimizer() -> None:
    fault = DeadJoint(1, BODY)
    runner = Synthetic(lambda theta: [500.0, 100.0, 300.0][int(theta.argmin())], noise=1.0)
    result = search_attack(runner, AttackSettings(episodes=4, optimizer="CMA"), fault, seed=1)
    np.testing.assert_array_equal(result.delta, [0, -1, 0])
    assert runner.rounds == [3]
    assert runner.faults == {fault}
    assert result.environment_steps == 3 * 4 * LENGTH
    assert result.fitness == pytest.approx(100, abs=3)
    assert result.best_deltas.shape == (1, 3)


@pytest.mark.slow
@pytest.mark.usefixtures("ray_session")
def test_a_bank_is_the_same_however_many_workers() -> None:
    torch.manual_seed(3)
    policy = Policy(11, -np.ones(3), np.ones(3), (32, 32))
    environment = EnvironmentSettings(id="Hopper-v4", max_episode_steps=100)
    settings = AttackSettings(population=4, generations=3, episodes=3)
    local = search_attacks(LocalRollouts(policy, environment), settings, FAULT, [1, 2])
    for workers in (1, 3):
        bank = search_bank(policy, environment, settings, FAULT, [1, 2], workers)
        for one, other in zip(bank, local, strict=True):
            np.testing.assert_array_equal(one.delta, other.delta)
            assert (one.fitness, one.history, one.seed) == (other.fitness, other.history, other.seed)


@pytest.mark.parametrize("optimizer", ["NelderMead", "OnePlusOne", "TBPSA"])
def test_optimizers_that_go_from_point_to_point_have_as_many_candidates(optimizer: str) -> None:
    settings = AttackSettings(optimizer=optimizer, episodes=1, population=8, generations=6)
    runner = Synthetic(bowl)
    result = search_attack(runner, settings, FAULT, seed=1)
    assert result.candidates == 8 * 6
    assert len(result.history) == 6
    assert result.environment_steps == 8 * 6 * LENGTH
    assert runner.rounds == ([1] * 48 if optimizer == "NelderMead" else [8] * 6)
    assert result.fitness < 500
    assert result.fitness == pytest.approx(bowl(result.delta))


def test_an_optimizer_that_fails_in_nevergrad_is_refused_in_one_line() -> None:
    optimizer = "BAR4"
    settings = AttackSettings(optimizer=optimizer, population=8)
    with pytest.raises(
        ValueError, match=rf"attack\.optimizer={optimizer} fails in nevergrad: .+; write DE, CMA"
    ) as failure:
        require_optimizer(settings)
    assert "\n" not in str(failure.value)
    with pytest.raises(ValueError, match=f"^here: {optimizer} fails in nevergrad"):
        require_optimizer(settings, f"here: {optimizer}")
