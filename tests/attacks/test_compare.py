from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import ArrayLike

from afrl_ray.attacks.compare import PLAIN, compare_attackers, lowest_returns
from afrl_ray.config import AttackSettings, EnvironmentSettings
from afrl_ray.networks import Policy
from afrl_ray.perturbations import Body, Fault, Multiplicative
from afrl_ray.rollouts import Candidate, CandidateEpisodes, Episodes, LocalRollouts

FAULT = Multiplicative(0.3, Body(-np.ones(3, np.float32), np.ones(3, np.float32), np.ones(11, np.float32)))
LENGTH = 100


class Bowl:
    """Episodes of 100 steps that return 100 + 900 ‖δ − (0.1, −0.3, 0.3)‖² and a noise of their seed's own."""

    played = 0

    def play(self, candidates: Sequence[Candidate], fault: Fault | None = None) -> list[CandidateEpisodes]:
        assert fault is FAULT
        outcomes = []
        for candidate in candidates:
            returns = self._returns(np.tile(candidate.delta, (len(candidate.seeds), 1)), candidate.seeds)
            outcomes.append(CandidateEpisodes(returns, np.full(len(returns), LENGTH), False, 0.0))
        return outcomes

    def run(self, seeds: ArrayLike, deltas: ArrayLike, fault: Fault | None = None) -> Episodes:
        assert fault is FAULT
        self.played += len(np.asarray(seeds))
        return Episodes(self._returns(np.asarray(deltas), np.asarray(seeds)), np.full(len(np.asarray(seeds)), LENGTH))

    def _returns(self, deltas: np.ndarray, seeds: np.ndarray) -> np.ndarray:
        noise = 20 * np.array([np.random.default_rng(int(seed)).normal() for seed in seeds])
        return 100 + 900 * ((deltas.astype(np.float64) - [0.1, -0.3, 0.3]) ** 2).sum(axis=1) + noise


def test_all_have_the_same_budget_and_are_measured_on_the_same_fresh_episodes() -> None:
    runner, optimizers = Bowl(), ("DE", PLAIN, "PSO", "RandomSearch")
    settings = AttackSettings(population=8, episodes=4)
    table = compare_attackers(
        runner,
        FAULT,
        settings,
        longest_episode=LENGTH,
        step_budget=20_000,
        plain_episodes=4,
        seeds=(1, 2),
        optimizers=optimizers,
        measuring_episodes=30,
    )
    assert list(table) == [
        "optimizer",
        "seed",
        "generation",
        "environment_steps",
        "fitness",
        "return",
        "delta",
        "candidates",
    ]
    assert list(table["optimizer"].unique()) == list(optimizers)
    ends = table.groupby(["optimizer", "seed"])["environment_steps"].max()
    assert len(ends) == 8
    per_generation = 8 * 4 * LENGTH
    assert (ends.drop("DE") == 7 * per_generation).all()
    assert ends["DE"].between(20_000, 20_000 + 3 * per_generation).all()
    for _, search in table.groupby(["optimizer", "seed"]):
        assert search["environment_steps"].is_monotonic_increasing
    luck = np.mean([np.random.default_rng(seed).normal() for seed in _measuring_seeds()]) * 20
    true = 100 + 900 * ((np.stack(table["delta"]) - [0.1, -0.3, 0.3]) ** 2).sum(axis=1)
    np.testing.assert_allclose(table["return"], true + luck)
    different = len(np.unique(np.stack(table["delta"]).astype(np.float32), axis=0))
    assert runner.played == 30 * different  # what stays the best is not played again


class Falling(Bowl):
    """The same in 20 of at most 100 steps, and a candidate that is beaten is stopped after its first ten."""

    def play(self, candidates: Sequence[Candidate], fault: Fault | None = None) -> list[CandidateEpisodes]:
        outcomes = []
        for candidate, whole in zip(candidates, super().play(candidates, fault), strict=True):
            stopped = bool((whole.returns / 2).sum() > candidate.limit)
            returns = whole.returns / 2 if stopped else whole.returns
            outcomes.append(CandidateEpisodes(returns, np.full(len(returns), 10 if stopped else 20), stopped, 0.0))
        return outcomes


def test_the_budget_alone_ends_a_search_however_short_its_episodes_are() -> None:
    table = compare_attackers(
        Falling(),
        FAULT,
        AttackSettings(population=8, episodes=10),
        longest_episode=LENGTH,
        step_budget=20_000,
        plain_episodes=3,
        seeds=(1, 2),
        optimizers=("DE", PLAIN, "RandomSearch"),
        measuring_episodes=2,
    )
    searches = table.groupby(["optimizer", "seed"])[["environment_steps", "candidates"]].max()
    ends = searches.groupby("optimizer").agg(["min", "max"])
    assert ends["environment_steps"]["min"].ge(20_000).all()
    # a generation without racing is 8 candidates with 3 episodes of 20 steps, 480 in all: 42 of them
    for plain in (PLAIN, "RandomSearch"):
        assert list(ends.loc[plain]) == [42 * 480, 42 * 480, 42 * 8, 42 * 8]
    assert ends["candidates"]["min"]["DE"] > 42 * 8
    # the choice among the population is at most 8 candidates with 10 episodes
    assert ends["environment_steps"]["max"]["DE"] < 20_000 + 8 * 10 * 20 + 2 * 8 * 10 * 20


def _measuring_seeds() -> list[int]:
    from afrl_ray.seeding import derive_seed

    return [derive_seed(0, "attackers", "measuring", episode) for episode in range(30)]


def test_what_was_found_by_how_many_steps_by_hand() -> None:
    rows = [("A", 1, 100, 50.0), ("A", 1, 200, 30.0), ("A", 2, 150, 40.0), ("A", 2, 260, 45.0), ("B", 1, 300, 10.0)]
    table = pd.DataFrame(rows, columns=["optimizer", "seed", "environment_steps", "return"])
    found = lowest_returns(table, [99, 200, 300])
    assert found.drop(columns="se").to_dict("tight")["data"] == [
        ["A", 200, 35.0, 2],
        ["A", 300, 37.5, 2],
        ["B", 300, 10.0, 1],
    ]
    np.testing.assert_allclose(found["se"], [5.0, 7.5, np.nan])


@pytest.mark.slow
def test_a_real_policy_is_attacked_by_each() -> None:
    torch.manual_seed(3)
    policy = Policy(11, -np.ones(3), np.ones(3), (32, 32))
    table = compare_attackers(
        LocalRollouts(policy, EnvironmentSettings(id="Hopper-v4", max_episode_steps=50)),
        Multiplicative(0.3, Body.of(policy)),
        AttackSettings(population=6, episodes=2),
        longest_episode=50,
        step_budget=800,
        plain_episodes=2,
        seeds=[1],
        optimizers=["DE", "CMA", "RandomSearch"],
        measuring_episodes=5,
    )
    assert set(table["optimizer"]) == {"DE", "CMA", "RandomSearch"}
    assert table["return"].between(0, 60).all()
    assert table.groupby("optimizer")["environment_steps"].max().between(800, 1700).all()
