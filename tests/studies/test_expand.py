from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from afrl_ray.config import ConfigError
from afrl_ray.config.study import AttackersBudget, StudyBudget
from afrl_ray.pipeline.foundation import Foundation
from afrl_ray.studies.expand import expand
from afrl_ray.studies.files import load_scale, load_study, scale_names, study_names
from afrl_ray.studies.plan import Plan
from afrl_ray.studies.reproduce import results_directory

MakePlan = Callable[..., Plan]


@pytest.mark.parametrize("scale", scale_names())
@pytest.mark.parametrize("study", study_names())
def test_every_study_expands_at_every_scale(study: str, scale: str, tmp_path: Path) -> None:
    plan = Plan(study, load_study(study), scale, load_scale(scale), tmp_path)
    cases = expand(plan)
    seeds, robots = {case.seed for case in cases}, {case.robot for case in cases}
    assert seeds == set(range(len(seeds)))
    assert len(cases) % (len(seeds) * len(robots)) == 0
    for case in cases:
        assert case.settings.seed == case.seed
        if case.trained:
            assert isinstance(plan.budget, StudyBudget)
            assert case.settings.finetune.steps == plan.budget.steps == case.reads[-1]
        if case.match is not None:
            assert (case.match.robot, case.match.seed) == (case.robot, case.seed)


@pytest.mark.parametrize("scale", scale_names())
def test_every_attacker_has_several_generations_even_of_the_longest_episodes(scale: str, tmp_path: Path) -> None:
    plan = Plan("attackers", load_study("attackers"), scale, load_scale(scale), tmp_path)
    budget, settings = plan.budget, expand(plan)[0].settings
    assert isinstance(budget, AttackersBudget)
    generation = settings.attack.population * budget.plain_episodes * settings.environment.max_episode_steps
    assert budget.step_budget >= 5 * generation


@pytest.mark.parametrize("scale", scale_names())
def test_no_policy_of_table4_is_tested_against_the_attacker_of_its_training(scale: str, tmp_path: Path) -> None:
    cases = expand(Plan("table4", load_study("table4"), scale, load_scale(scale), tmp_path))
    (pgd,) = {case.settings.perturbation.pgd for case in cases if case.settings.perturbation.condition == "pgd"}
    assert pgd.critic == "current"
    assert "pgd" in cases[0].settings.evaluation.conditions


def test_a_case_for_each_arm_robot_and_seed_seed_by_seed(make_plan: MakePlan) -> None:
    cases = expand(make_plan(robots=("hopper", "ant")))
    assert [(case.seed, case.robot, case.arm) for case in cases] == [
        (seed, robot, arm) for seed in (0, 1) for robot in ("hopper", "ant") for arm in ("offline", "tuned")
    ]
    assert [case.trained for case in cases[:2]] == [False, True]
    assert {case.settings.environment.id for case in cases} == {"Hopper-v4", "Ant-v4"}


def test_later_layers_win(make_plan: MakePlan) -> None:
    study = {
        "settings": {"finetune.offline_ratio": 0.6, "curriculum": {"type": "fixed", "q": 0.3}},
        "arms": {
            "plain": {},
            "wide": {"presets": ["wide"]},
            "both": {"presets": ["wide"], "settings": {"finetune.offline_ratio": 0.7}},
            "adaptive": {"settings": {"curriculum.type": "adaptive"}},
        },
    }
    plain, wide, both, adaptive = expand(make_plan(study, seeds=1))
    assert (plain.settings.finetune.offline_ratio, plain.settings.curriculum.type) == (0.6, "fixed")
    assert wide.settings.finetune.offline_ratio == 0.5
    assert wide.settings.finetune.algorithm.model_dump()["policy_delay"] == 3
    assert both.settings.finetune.offline_ratio == 0.7
    assert adaptive.settings.curriculum.type == "adaptive"
    changed = {"finetune.num_envs": 3, "finetune.algorithm.batch_size": 64}
    for case in expand(make_plan(study, overrides=changed)):
        assert (case.settings.finetune.num_envs, case.settings.finetune.algorithm.batch_size) == (3, 64)


def test_a_robots_other_id_is_kept_and_told_apart(make_plan: MakePlan) -> None:
    scale = {"robot_settings": {"hopper": {"finetune.offline_ratio": 0.25}}}
    names = ("Hopper-v5", "Hopper-v4", "hopper", "hopper-expert-v2")
    plan = make_plan({"arms": {"a": {}}}, scale, robots=names, seeds=1)
    cases = expand(plan)
    assert [(case.robot, case.settings.environment.id) for case in cases] == [
        ("Hopper-v5", "Hopper-v5"),
        ("hopper", "Hopper-v4"),
    ]
    assert {case.settings.finetune.offline_ratio for case in cases} == {0.25}
    assert results_directory(plan).name == "mine-Hopper-v5-hopper"
    keys = {Foundation(case.settings, plan.output).key for case in cases}
    assert len(keys) == 2


def test_robots_have_settings_of_their_own_and_their_name_in_texts(make_plan: MakePlan) -> None:
    overrides = {"data": {"type": "d4rl", "dataset": "{robot}-expert-v2"}}
    hopper, ant = expand(make_plan({"arms": {"a": {}}}, robots=("hopper", "ant"), seeds=1, overrides=overrides))
    assert (hopper.settings.finetune.offline_ratio, ant.settings.finetune.offline_ratio) == (1.0, 0.25)
    assert [case.settings.model_dump()["data"]["dataset"] for case in (hopper, ant)] == [
        "hopper-expert-v2",
        "ant-expert-v2",
    ]


def test_the_grid_multiplies_trained_arms_and_a_scale_may_change_it(make_plan: MakePlan) -> None:
    study = {"grid": {"curriculum.q": [0.1, 0.2], "finetune.offline_ratio": [0.0]}}
    cases = expand(make_plan(study, seeds=1))
    assert [case.arm for case in cases] == [
        "offline",
        "tuned, q=0.1, offline_ratio=0.0",
        "tuned, q=0.2, offline_ratio=0.0",
    ]
    assert cases[2].varied == {"curriculum.q": 0.2, "finetune.offline_ratio": 0.0}
    assert cases[2].settings.model_dump()["curriculum"]["q"] == 0.2
    study["scales"] = {"tiny": {"steps": 400, "grid": {"curriculum.q": [0.9]}}}
    assert [case.arm for case in expand(make_plan(study, seeds=1))][1:] == ["tuned, q=0.9, offline_ratio=0.0"]


def test_an_arm_that_copies_mean_q_knows_whose(make_plan: MakePlan) -> None:
    study = {
        "arms": {
            "linear": {"settings": {"curriculum.type": "linear"}, "match_mean_q": "adaptive"},
            "adaptive": {"settings": {"curriculum.type": "adaptive"}},
        }
    }
    cases = expand(make_plan(study))
    assert [(case.arm, case.match and (case.match.arm, case.match.seed)) for case in cases] == [
        ("linear", ("adaptive", 0)),
        ("adaptive", None),
        ("linear", ("adaptive", 1)),
        ("adaptive", None),
    ]


def test_reads_are_in_order_and_end_with_the_training(make_plan: MakePlan) -> None:
    case, *_ = expand(make_plan({"scales": {"tiny": {"steps": 800, "read_at": [600, 200]}}}))
    assert case.reads == (200, 600, 800)
    assert case.steps == 800


@pytest.mark.parametrize(
    ("study", "scale", "message"),
    [
        (
            {"arms": {"a": {"settings": {"finetune.stepz": 1}}}},
            {},
            "study mine, arm a, hopper: finetune.stepz is not a",
        ),
        ({"arms": {"a": {"presets": ["no"]}}}, {}, "study mine: scale tiny has no preset no; it has wide"),
        ({"scales": {"huge": {"steps": 400}}}, {}, "study mine has no scale tiny; write one of huge"),
        (
            {"scales": {"tiny": {"steps": 300}}},
            {},
            r"300 steps are not a multiple of the scale's policy_interval \(200\)",
        ),
        (
            {},
            {"policy_interval": 50},
            r"policy_interval \(50\) is not a multiple of finetune.evaluation_interval \(100\)",
        ),
        ({}, {"robots": ["horse"]}, "'horse' is no robot; write one of hopper, halfcheetah, walker2d, ant"),
        ({"settings": {"search": {"space": {"seed": [1]}}}}, {}, "a study has no search"),
        ({"arms": {"a": {}, "b": {"match_mean_q": "a"}}}, {}, "match_mean_q needs curriculum.type=linear, not fixed"),
        (
            {
                "arms": {"a": {}, "a, q=0.1": {"trained": False}},
                "grid": {"curriculum.q": [0.1, 0.2]},
            },
            {},
            "the grid makes a second 'a, q=0.1'; rename one of the arms",
        ),
        ({}, {"settings": {"seed": 7}}, "scale tiny, settings: seed would change nothing in study mine; each run has"),
        (
            {},
            {"presets": {"wide": {"evaluation": {"conditions": ["normal"]}}}},
            r"scale tiny, presets\.wide: evaluation\.conditions would change nothing in study mine",
        ),
        ({}, {"robot_settings": {"ant": {"seed": 2}}}, r"scale tiny, robot_settings\.ant: seed would change nothing"),
        ({}, {"robot_settings": {"horse": {}}}, "'horse' is no robot"),
        ({}, {"robot_settings": {"Hopper-v4": {}}}, "Hopper-v4 is never looked up; write hopper"),
    ],
)
def test_mistakes_are_found_before_anything_runs(
    study: dict[str, object], scale: dict[str, object], message: str, make_plan: MakePlan
) -> None:
    with pytest.raises(ConfigError, match=message):
        expand(make_plan(study, scale))


LINEAR = {"settings": {"curriculum.type": "linear"}}


@pytest.mark.parametrize(
    "arms",
    [
        {"a": {**LINEAR, "match_mean_q": "b"}, "b": {**LINEAR, "match_mean_q": "c"}, "c": {}},
        {"c": {}, "b": {**LINEAR, "match_mean_q": "c"}, "a": {**LINEAR, "match_mean_q": "b"}},
        {"a": {**LINEAR, "match_mean_q": "a"}},
        {"a": {**LINEAR, "match_mean_q": "b"}, "b": {"trained": False}},
        {"a": {**LINEAR, "match_mean_q": "b", "trained": False}, "b": {}},
    ],
)
def test_only_a_training_is_matched_and_only_to_one_that_is_not(arms: dict[str, Any], make_plan: MakePlan) -> None:
    with pytest.raises(ValidationError, match=r"arms\.\w\.match_mean_q is '\w'; a trained arm is matched to another"):
        make_plan({"arms": arms})
