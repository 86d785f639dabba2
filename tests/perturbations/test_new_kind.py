"""A new kind of fault, made as docs/algorithms.md shows, goes through settings, search and evaluation."""

import numpy as np
import pytest
import torch

from afrl_ray.attacks.search import search_attack
from afrl_ray.config import FAULTS, AttackSettings, EnvironmentSettings, Magnitude, load_experiment
from afrl_ray.evaluation.conditions import EvaluationPlan
from afrl_ray.evaluation.evaluate import evaluate
from afrl_ray.networks import Policy
from afrl_ray.perturbations import Body, Box, Fault, ParameterSet, make_fault
from afrl_ray.perturbations.fault import FloatArray, RunningEpisodes
from afrl_ray.rollouts import LocalRollouts


@pytest.fixture(autouse=True)
def _dead_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FAULTS, "dead_zone", Magnitude(default=0.2, largest=1))
    monkeypatch.setattr(Fault, "kinds", dict(Fault.kinds))

    class DeadZone(Fault, kind="dead_zone"):
        """ã_i = 0 where |a_i| < θ_i h_i: small commands are lost, θ in [0, m]^A."""

        @property
        def parameters(self) -> ParameterSet:
            return Box(0.0, self.magnitude, self.body.action_size)

        def executed(self, intended: FloatArray, episodes: RunningEpisodes) -> FloatArray:
            return np.where(np.abs(intended) < episodes.parameters * self.body.half_range, np.float32(0), intended)


def test_it_goes_all_the_way() -> None:
    conditions = "evaluation.conditions=[normal, {name: lost, fault: {type: dead_zone, magnitude: 0.4}}]"
    settings = load_experiment(None, ["perturbation.fault.type=dead_zone", conditions])
    torch.manual_seed(3)
    policy = Policy(11, -np.ones(3), np.ones(3), (32, 32))
    runner = LocalRollouts(policy, EnvironmentSettings(id="Hopper-v4", max_episode_steps=30))
    fault = make_fault(settings.perturbation.fault.resolved(None), Body.of(policy))
    attack = search_attack(runner, AttackSettings(population=4, generations=2, episodes=2), fault, seed=1)
    assert attack.delta.min() >= 0
    assert attack.delta.max() <= np.float32(0.2)
    lost = make_fault(settings.evaluation.conditions[1].fault, Body.of(policy))  # type: ignore[union-attr]
    plan = EvaluationPlan(0, "test", 3, fault)
    episodes = [
        plan.under("normal"),
        plan.under("adversarial", bank=attack.delta[None]),
        plan.under("random", name="lost", fault=lost),
    ]
    scores = evaluate(runner, episodes, policy="p", robot=None)
    assert scores.groupby("condition")["perturbed"].all().to_dict() == {
        "normal": False,
        "adversarial": True,
        "lost": True,
    }
    returns = {name: set(rows["return"]) for name, rows in scores.groupby("condition")}
    assert not returns["lost"] & returns["normal"]
