"""A new kind of fault, made as docs/extending.md shows, goes through settings, search, evaluation and training."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from afrl_ray.arrays import FloatArray
from afrl_ray.attacks.search import search_attack
from afrl_ray.config import FAULTS, AttackSettings, EnvironmentSettings, Magnitude, load_experiment
from afrl_ray.evaluation.conditions import EvaluationPlan
from afrl_ray.evaluation.evaluate import evaluate
from afrl_ray.networks import Policy
from afrl_ray.perturbations import (
    Body,
    Box,
    ConstantSource,
    Fault,
    ParameterSet,
    PerturbationSnapshot,
    make_fault,
)
from afrl_ray.perturbations.fault import RunningEpisodes
from afrl_ray.rollouts import LocalRollouts
from env_runners import Recorder, collect, env_runner

DOCS = Path(__file__).parents[2] / "docs" / "extending.md"


@pytest.fixture(autouse=True)
def _dead_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The class and the entry of the docs, until the test is over."""
    monkeypatch.setitem(FAULTS, "dead_zone", Magnitude(default=1, largest=1))
    monkeypatch.setattr(Fault, "kinds", dict(Fault.kinds))
    (block,) = re.findall(r"```python\n(FAULTS.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    assert len(block.splitlines()) < 30
    names = {"FAULTS": FAULTS, "Magnitude": Magnitude, "Fault": Fault, "ParameterSet": ParameterSet, "Box": Box}
    exec(block, names | {"FloatArray": FloatArray, "RunningEpisodes": RunningEpisodes, "np": np})
    assert FAULTS["dead_zone"].default == 0.2


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


def test_training_acts_under_it() -> None:
    dead_zone = load_experiment(None, ["perturbation.fault.type=dead_zone"]).perturbation.fault.resolved(None)
    always = PerturbationSnapshot("adversarial", q=1.0, fault=dead_zone, bank=np.full((1, 3), 0.2, np.float32))
    with env_runner(num_envs=4, source=ConstantSource(always), exploration_noise=0.5) as runner:
        runner.env = recorder = Recorder(runner.env)  # type: ignore[assignment]
        rows = collect(runner, 20)
    executed, is_small = np.stack(recorder.executed), np.abs(rows.actions) < 0.2
    assert is_small.any()
    assert not executed[is_small].any()
    np.testing.assert_array_equal(executed[~is_small], rows.actions[~is_small])
