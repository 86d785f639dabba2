"""No episode of a search, of validation or of a test is one that something was trained or chosen on."""
# ruff: noqa: ARG002 - what plays episodes is given more than their seeds

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import ArrayLike
from ray.rllib.utils.metrics import NUM_ENV_STEPS_SAMPLED_LIFETIME

from afrl_ray.algorithms import env_runner
from afrl_ray.algorithms.env_runner import PerturbedEnvRunner
from afrl_ray.attacks.compare import compare_attackers
from afrl_ray.config import ExperimentSettings, GeneratedData, with_settings
from afrl_ray.datasets import generated
from afrl_ray.evaluation.conditions import EvaluationPlan, Purpose
from afrl_ray.networks import Policy
from afrl_ray.perturbations import Body, Fault, Multiplicative
from afrl_ray.pipeline import attack
from afrl_ray.pipeline.experiment import Experiment
from afrl_ray.pipeline.runs.configuration import trial_algorithm_config
from afrl_ray.rollouts import Candidate, CandidateEpisodes, Episodes
from afrl_ray.seeding import derive_seed

RUNS = range(5)
"""As many as the paper scale and the demo have."""
ATTACK = {"attack": {"population": 4, "generations": 3, "episodes": 10}}


class Recorder:
    """Plays nothing, and notes the seeds that it was to play."""

    def __init__(self) -> None:
        self.searched: set[int] = set()
        self.measured: set[int] = set()

    def play(self, candidates: Sequence[Candidate], fault: Fault | None = None) -> list[CandidateEpisodes]:
        self.searched |= {int(seed) for candidate in candidates for seed in candidate.seeds}
        counts = [len(candidate.seeds) for candidate in candidates]
        rewards = [np.random.default_rng(int(one.seeds[0])).normal(size=len(one.seeds)) for one in candidates]
        return [
            CandidateEpisodes(reward, np.full(count, 10), False, 0.0)
            for reward, count in zip(rewards, counts, strict=True)
        ]

    def run(self, seeds: ArrayLike, deltas: ArrayLike, fault: Fault | None = None) -> Episodes:
        played = np.asarray(seeds)
        self.measured |= set(played.tolist())
        return Episodes(np.zeros(len(played)), np.full(len(played), 10))


@pytest.fixture(scope="module")
def policy() -> Policy:
    torch.manual_seed(0)
    return Policy(11, -np.ones(3), np.ones(3), (8,))


def settings(run: int) -> ExperimentSettings:
    changes = {"seed": run, "environment.id": "hopper", "finetune.num_envs": 2, **ATTACK}
    return with_settings(ExperimentSettings(), changes)


def training_seeds(monkeypatch: pytest.MonkeyPatch) -> set[int]:
    """Of the environments of three env runners, at their beginning and after an interruption."""
    found: set[int] = set()
    make = env_runner.make_vector_env

    def record(environment: Any, seeds: Sequence[int]) -> Any:
        found.update(seeds)
        return make(environment, seeds)

    monkeypatch.setattr(env_runner, "make_vector_env", record)
    for run in RUNS:
        config = trial_algorithm_config(settings(run), None)
        for worker in range(3):
            runner = PerturbedEnvRunner(config=config, worker_index=worker)
            runner.set_state({NUM_ENV_STEPS_SAMPLED_LIFETIME: 5000})
            runner.stop()
    assert len(found) == len(RUNS) * 3 * 2 * 2
    return found


def data_seeds(policy: Policy, monkeypatch: pytest.MonkeyPatch) -> set[int]:
    found: set[int] = set()

    class Recorded(Exception):
        pass

    def record(_environment: Any, seeds: Sequence[int], _threads: int) -> Any:
        found.update(seeds)
        raise Recorded

    monkeypatch.setattr(generated, "make_vector_env", record)
    for run in RUNS:
        with pytest.raises(Recorded):
            generated.generate_transitions(policy, GeneratedData(), settings(run).environment, run)
    assert len(found) >= 2 * len(RUNS)
    return found


def bank_seeds(purpose: str, policy: Policy, monkeypatch: pytest.MonkeyPatch) -> set[int]:
    recorder = Recorder()
    monkeypatch.setattr(attack, "DistributedRollouts", lambda *_: recorder)
    for run in RUNS:
        attack.make_bank(Experiment(settings(run)), policy, purpose, 5)
    # five searches of at most ten episodes in the search, and of ten for the final choice
    assert 5 * 10 * len(RUNS) < len(recorder.searched) <= 5 * 20 * len(RUNS)
    return recorder.searched


def compared_seeds(policy: Policy) -> tuple[set[int], set[int]]:
    recorder = Recorder()
    for run in RUNS:
        compare_attackers(
            recorder,
            Multiplicative(0.3, Body.of(policy)),
            settings(run).attack,
            longest_episode=10,
            step_budget=500,
            plain_episodes=3,
            seeds=[derive_seed(run, "attackers", search) for search in range(5)],
            optimizers=("DE", "RandomSearch"),
            measuring_episodes=50,
        )
    return recorder.searched, recorder.measured


def evaluation_seeds(purpose: Purpose, episodes: int, policy: Policy) -> set[int]:
    fault = Multiplicative(0.3, Body.of(policy))
    plans = [EvaluationPlan(run, purpose, episodes, fault) for run in RUNS]
    found = {int(seed) for plan in plans for seed in plan.under("normal").seeds}
    assert len(found) == episodes * len(RUNS)
    return found


def test_training_searches_validation_and_test_share_no_seed(policy: Policy, monkeypatch: pytest.MonkeyPatch) -> None:
    searched, measured = compared_seeds(policy)
    groups = {
        "data": data_seeds(policy, monkeypatch),
        "training": training_seeds(monkeypatch),
        **{f"bank for {name}": bank_seeds(name, policy, monkeypatch) for name in ("training", "validation")},
        "bank for evaluation": bank_seeds("evaluation", policy, monkeypatch),
        "adaptive attack": bank_seeds("adaptive tuned", policy, monkeypatch),
        "attackers": searched,
        "measuring of attackers": measured,
        "validation": evaluation_seeds("validation", 100, policy),
        "test": evaluation_seeds("test", 100, policy),
    }
    shared = [(one, other) for one, other in combinations(groups, 2) if groups[one] & groups[other]]
    assert shared == []
