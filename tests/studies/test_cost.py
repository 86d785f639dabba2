from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from afrl_ray.config import IQLSettings, TD3BCSettings, TD3Settings
from afrl_ray.config.study import AttackersSettings
from afrl_ray.studies.cost import Cost, Speed, hours, paced, shown, works_of
from afrl_ray.studies.plan import Plan

MakePlan = Callable[..., Plan]

SETTINGS: dict[str, Any] = {
    "environment.max_episode_steps": 10,
    "data.transitions": 500,
    "pretrain": {"updates": 1000, "evaluation_interval": 300, "evaluation_episodes": 5},
    "attack": {
        "population": 4,
        "generations": 3,
        "episodes": 2,
        "racing": {"enabled": False},
        "training_bank": 2,
        "validation_bank": 1,
        "evaluation_bank": 1,
    },
    "finetune": {"evaluation_interval": 100, "checkpoint_interval": 100, "validation_episodes": 2},
    "evaluation.episodes": 7,
}
# 500 of data; 4 evaluations of 5 episodes of 10; 4 searches of 4 × 3 candidates × 2 episodes of 10
FOUNDATION = 500 + 200 + 960
OFFLINE_TEST = 3 * 7 * 10
# 5 evaluations of 2 episodes of 10 under 3 conditions; the final and the best policy under 3 conditions
TUNED = 300 + 2 * OFFLINE_TEST


def cost_of(plan: Plan) -> Cost:
    return Cost.of(works_of([plan]))


def test_everything_is_counted(make_plan: MakePlan) -> None:
    plan = make_plan(scale={"settings": SETTINGS}, seeds=1)
    assert cost_of(plan) == Cost(
        runs=1, training_steps=400, offline_updates=1000, other_steps=FOUNDATION + OFFLINE_TEST + TUNED
    )
    twice = make_plan(scale={"settings": SETTINGS}, seeds=2)
    assert cost_of(twice) == Cost(2, 800, 2000, 2 * (FOUNDATION + OFFLINE_TEST + TUNED))


def test_arms_share_what_they_can(make_plan: MakePlan) -> None:
    arms = {"arms": {"one": {}, "random": {"settings": {"perturbation.condition": "random"}}}}
    assert cost_of(make_plan(arms, {"settings": SETTINGS}, seeds=1)) == Cost(2, 800, 1000, FOUNDATION + 2 * TUNED)


def test_another_pretraining_shares_only_the_data(make_plan: MakePlan) -> None:
    arms = {"arms": {"one": {"trained": False}, "long": {"trained": False, "settings": {"pretrain.updates": 1200}}}}
    found = cost_of(make_plan(arms, {"settings": SETTINGS}, seeds=1))
    assert found == Cost(0, 0, 2200, FOUNDATION + 200 + 960 + 2 * OFFLINE_TEST)


def test_a_longer_training_contains_a_shorter_one(make_plan: MakePlan) -> None:
    short, long = (
        make_plan({"arms": {"a": {}}, "scales": {"tiny": {"steps": steps}}}, {"settings": SETTINGS}, seeds=1)
        for steps in (400, 800)
    )
    assert sum(work.updates for work in works_of([short, long]) if work.is_run) == 800
    linear = [replace(plan, overrides={"curriculum.type": "linear"}) for plan in (short, long)]
    assert sum(work.updates for work in works_of(linear) if work.is_run) == 1200


def test_hours_are_those_of_all_cores_together(make_plan: MakePlan) -> None:
    works = works_of([make_plan(scale={"settings": SETTINGS}, seeds=1)])
    speeds = {"hopper": Speed(env_steps=100.0, updates={TD3BCSettings(): 10.0, TD3Settings(): 5.0}, pgd_steps=1.0)}
    env_steps = FOUNDATION + OFFLINE_TEST + TUNED + 400
    assert hours(works, speeds, cores=2) == pytest.approx((env_steps / 100 + 1000 / 10 + 400 / 5) / 2 / 3600)


def test_who_trains_under_pgd_is_validated_under_it(make_plan: MakePlan) -> None:
    arms = {"arms": {"pgd": {"settings": {"perturbation.condition": "pgd"}}}}
    found = cost_of(make_plan(arms, {"settings": SETTINGS}, seeds=1))
    # 5 evaluations of 2 episodes of 10 under one more condition
    assert found == Cost(1, 400, 1000, FOUNDATION + TUNED + 100)


def test_steps_of_pgd_are_counted_in_batches(make_plan: MakePlan) -> None:
    settings = {"perturbation": {"condition": "pgd", "pgd": {"steps": 4}}, "finetune.num_envs": 3}
    conditions = ["normal", "pgd", {"name": "stepwise", "condition": "pgd"}]
    plan = make_plan(
        {"arms": {"pgd": {"settings": settings}}, "conditions": conditions}, {"settings": SETTINGS}, seeds=1
    )
    works = works_of([plan])
    # 134 steps of 3 environments, 5 evaluations of 10 steps together
    assert [work.pgd_steps for work in works if work.is_run] == [4 * (134 + 5 * 10)]
    # two policies under two conditions, all episodes together
    assert sum(work.pgd_steps for work in works if not work.is_run) == 4 * 2 * 2 * 10
    speeds = {"hopper": Speed(1e9, {TD3BCSettings(): 1e9, TD3Settings(): 1e9}, pgd_steps=2.0)}
    assert hours(works, speeds, cores=1) == pytest.approx(4 * (134 + 50 + 40) / 2 / 3600, rel=1e-3)


def test_other_faults_need_banks_of_their_own(make_plan: MakePlan) -> None:
    conditions = [
        "normal",
        {"name": "own", "fault": {"type": "multiplicative"}, "condition": "adversarial"},
        {"name": "bias", "fault": {"type": "bias"}, "condition": "adversarial"},
        {"name": "bias again", "fault": {"type": "bias", "magnitude": 0.3}, "condition": "adversarial"},
        {"name": "late", "fault": {"type": "delay"}, "condition": "adversarial"},
        {"name": "dead", "fault": {"type": "dead_joint"}, "condition": "adversarial"},
        {"name": "noise", "fault": {"type": "action_noise"}, "condition": "random"},
    ]
    plan = make_plan(
        {"arms": {"offline": {"trained": False}}, "conditions": conditions}, {"settings": SETTINGS}, seeds=1
    )
    # one search of 4 × 3 candidates for the bias; three delays and the hopper's three joints are all tried; each
    # candidate plays 2 episodes of 10
    assert cost_of(plan).other_steps == FOUNDATION + 240 + 2 * 3 * 2 * 10 + 7 * 7 * 10


def test_attackers_need_a_pretrained_policy_and_their_budgets(make_plan: MakePlan) -> None:
    study = {
        "type": "attackers",
        "title": "Attackers",
        "optimizers": ["DE", "CMA"],
        "scales": {"tiny": {"step_budget": 1000, "searches": 3, "measuring_episodes": 5, "seeds": 1}},
    }
    plan = make_plan(scale={"settings": SETTINGS})
    plan = replace(plan, study=AttackersSettings.model_validate(study))
    # a generation is 4 candidates with 3 episodes of 10: nine of them use up 1000 steps; the best of each is measured
    search = 9 * 120 + 9 * 5 * 10
    assert cost_of(plan) == Cost(0, 0, 1000, 500 + 200 + 6 * search)
    # with racing, DE's are a quarter of 4 with 4 episodes of 10: 40, and 25 of them
    racing = {**SETTINGS, "attack": {**SETTINGS["attack"], "episodes": 4, "racing": {"enabled": True}}}
    raced = replace(plan, scale=make_plan(scale={"settings": racing}).scale)
    assert cost_of(raced).other_steps == 500 + 200 + 3 * search + 3 * (25 * 40 + 25 * 5 * 10)
    assert cost_of(replace(plan, seeds=2)).offline_updates == 2000


def test_algorithms_that_are_as_fast_are_one() -> None:
    assert paced(TD3Settings(actor_learning_rate=1e-4, bc_alpha=2.5)) == TD3Settings()
    assert paced(IQLSettings(expectile=0.9, batch_size=64)) == IQLSettings(batch_size=64)
    slower = paced(TD3Settings(critic_layer_norm=True, policy_average_decay=0.9998))
    assert shown(slower) == "td3 (critic_layer_norm, policy_average_decay)"
    assert shown(paced(TD3Settings())) == "td3"
    assert shown(TD3Settings(batch_size=64)) == "td3 (batch_size 64)"
