"""Which work one setting makes new, and which is shared in spite of it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from afrl_ray.config import with_settings
from afrl_ray.config.evaluation import EvaluatedCondition
from afrl_ray.networks import Policy
from afrl_ray.pipeline.foundation import Foundation
from afrl_ray.pipeline.runs.run import TrainingRun
from afrl_ray.studies.expand import expand
from afrl_ray.studies.measure import Subject
from afrl_ray.studies.plan import Plan

STAGES = ["data", "pretrain", "attack", "run", "scores"]
"""Each is made from those before it."""
OTHERS = [
    ("seed", 1, STAGES),
    ("environment.id", "Hopper-v5", STAGES),
    ("environment.max_episode_steps", 500, STAGES),
    ("data.transitions", 600, STAGES),
    ("pretrain.updates", 50_000, STAGES[1:]),
    ("pretrain.algorithm.batch_size", 64, STAGES[1:]),
    ("pretrain.algorithm.alpha", 1.0, STAGES[1:]),
    ("attack.population", 6, STAGES[2:]),
    ("attack.training_bank", 3, STAGES[2:]),
    ("attack.optimizer", "CMA", STAGES[2:]),
    ("perturbation.fault.type", "bias", STAGES[2:]),
    ("perturbation.epsilon", 0.1, STAGES[2:]),
    ("perturbation.condition", "random", ["run"]),
    ("curriculum.type", "adaptive", ["run"]),
    ("curriculum.q", 0.25, ["run"]),
    ("finetune.offline_ratio", 0.5, ["run"]),
    ("finetune.random_steps", 50, ["run"]),
    ("finetune.algorithm.bc_alpha", 2.5, ["run"]),
    ("finetune.evaluation_interval", 50, ["run"]),
    ("finetune.steps", 800, []),  # a run that goes on
    ("finetune.steps", 750, ["run"]),  # whose end is a checkpoint that a longer one lacks
    ("evaluation.episodes", 3, ["scores"]),
    ("tracking.enabled", False, []),
    ("runtime.resources.trial.cpus", 2, []),
]


def a_policy(seed: int) -> Policy:
    torch.manual_seed(seed)
    return Policy(11, -np.ones(3), np.ones(3), (8,))


@pytest.fixture
def keys(make_plan: Callable[..., Plan], tmp_path: Path) -> Callable[..., dict[str, str]]:
    """The key of each stage of one fine-tuning, with other settings where given."""
    (case,) = expand(make_plan({"arms": {"tuned": {}}, "settings": {"curriculum": {"type": "fixed"}}}, seeds=1))

    def find(
        changes: dict[str, Any] | None = None, policy: int = 0, condition: EvaluatedCondition = "adversarial"
    ) -> dict[str, str]:
        settings = with_settings(case.settings, changes or {})
        foundation = Foundation(settings, tmp_path)
        return {
            "data": foundation.data.key,
            "pretrain": foundation.pretrain.key,
            "attack": foundation.attack.key,
            "run": TrainingRun("mine", settings, store=tmp_path, policy_interval=200).stage.key,
            "scores": Subject(foundation, a_policy(policy), "final").stage(condition).key,
        }

    return find


@pytest.mark.parametrize(("setting", "value", "new"), OTHERS, ids=[f"{one[0]}={one[1]}" for one in OTHERS])
def test_what_one_setting_makes_new(
    setting: str, value: Any, new: list[str], keys: Callable[..., dict[str, str]]
) -> None:
    before, after = keys(), keys({setting: value})
    assert [stage for stage in STAGES if before[stage] != after[stage]] == new


def test_other_algorithms_share_the_data_and_no_more(keys: Callable[..., dict[str, str]]) -> None:
    before, after = keys(), keys({"pretrain.algorithm": {"type": "iql"}, "finetune.algorithm": {"type": "sac"}})
    assert [stage for stage in STAGES if before[stage] != after[stage]] == STAGES[1:]


def test_a_training_from_scratch_is_its_own(keys: Callable[..., dict[str, str]]) -> None:
    early = {"finetune.random_steps": 50}
    assert keys({**early, "finetune.start": "scratch"})["run"] != keys(early)["run"]


def test_under_a_linear_curriculum_a_longer_run_is_another(keys: Callable[..., dict[str, str]]) -> None:
    linear = {"curriculum.type": "linear"}
    assert keys(linear)["run"] != keys({**linear, "finetune.steps": 800})["run"]


def test_scores_belong_to_one_policy_and_condition(keys: Callable[..., dict[str, str]]) -> None:
    assert keys()["scores"] == keys()["scores"]
    others = [keys(policy=1), keys(condition="normal"), keys(condition="random"), keys(condition="pgd")]
    assert len({keys()["scores"], *(one["scores"] for one in others)}) == 5
