from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from afrl_ray.config import ConfigError
from afrl_ray.config.study import AttackersBudget, StudyBudget
from afrl_ray.studies.expand import expand
from afrl_ray.studies.files import load_scale, load_study, scale_names, study_names
from afrl_ray.studies.foundations import Foundation
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


@pytest.mark.parametrize(
    ("override", "what", "setting"),
    [
        ("perturbation.condition", "arm random", "perturbation.condition"),
        ("perturbation", "arm random", "perturbation.condition"),
        ("curriculum.beta", "arm adaptive", "curriculum"),
        ("finetune.algorithm.policy_delay", "arm wide", "finetune.algorithm.policy_delay"),
        ("finetune.offline_ratio", "the grid", "finetune.offline_ratio"),
        ("data.transitions", "the grid", "data.transitions"),
        ("curriculum.q_max", "arm linear", "curriculum.q_max"),
    ],
)
def test_what_arms_differ_in_cannot_be_changed(override: str, what: str, setting: str, make_plan: MakePlan) -> None:
    study: dict[str, Any] = {
        "settings": {"curriculum.type": "linear"},
        "arms": {
            "linear": {"match_mean_q": "adaptive"},
            "random": {"settings": {"perturbation.condition": "random"}},
            "wide": {"presets": ["wide"]},
        },
        "grid": {"finetune.offline_ratio": [0.0, 1.0]},
        "scales": {"tiny": {"steps": 400, "grid": {"finetune.offline_ratio": [0.5]}}},
    }
    if setting == "data.transitions":
        study["grid"] = {"data.transitions": [100, 200]}
        study["scales"] = {"tiny": {"steps": 400}}
    adaptive = {"settings": {"curriculum": {"type": "adaptive"}}}
    if setting == "curriculum":
        study["arms"] = {"adaptive": adaptive}
    else:
        study["arms"]["adaptive"] = {"settings": {"curriculum.type": "adaptive"}}
    message = rf"^override {override}: {what} of study mine sets {setting}, .* write a study file of your own"
    with pytest.raises(ConfigError, match=message):
        expand(make_plan(study, overrides={override: {}}))


@pytest.mark.parametrize(
    ("study", "overrides", "twins"),
    [
        (
            {"arms": {"dropped": {}, "kept": {"settings": {"finetune.algorithm.bc_alpha": 2.5}}}},
            {"pretrain.algorithm.type": "iql", "finetune.algorithm.type": "sac"},
            r"with pretrain.algorithm.type, finetune.algorithm.type dropped and kept are one and the same",
        ),
        (
            {"grid": {"finetune.algorithm.exploration_noise": [0.1, 0.2]}},
            {"pretrain.algorithm.type": "iql", "finetune.algorithm.type": "sac"},
            "tuned, exploration_noise=0.1 and tuned, exploration_noise=0.2 are one and the same",
        ),
        (
            {"grid": {"finetune.offline_ratio": [0.0, 1.0]}},
            {"finetune.start": "scratch", "finetune.random_steps": 40},
            "tuned, offline_ratio=0.0 and tuned, offline_ratio=1.0 are one and the same",
        ),
        (
            {"settings": {"curriculum.type": "linear"}, "grid": {"curriculum.q_max": [0.5, 1.0]}},
            {"perturbation.condition": "normal"},
            "tuned, q_max=0.5 and tuned, q_max=1.0 are one and the same",
        ),
        ({"arms": {"a": {}, "b": {}}}, {}, "study mine: a and b are one and the same; write arms and a grid"),
        ({"arms": {"a": {}, "b": {"settings": {"perturbation.condition": "random"}}}}, {"curriculum.q": 0}, "a and b"),
        ({"grid": {"finetune.random_steps": [10, 20]}}, {}, "tuned, random_steps=10 and tuned, random_steps=20"),
        ({"grid": {"perturbation.pgd.steps": [1, 2]}}, {}, "tuned, steps=1 and tuned, steps=2"),
        ({"grid": {"evaluation.episodes": [5, 6]}}, {}, "tuned, episodes=5 and tuned, episodes=6"),
        (
            {"arms": {"a": {"trained": False}, "b": {"trained": False, "settings": {"finetune.num_envs": 2}}}},
            {},
            "a and b are one and the same",
        ),
    ],
)
def test_arms_that_became_the_same_are_refused(
    study: dict[str, Any], overrides: dict[str, Any], twins: str, make_plan: MakePlan
) -> None:
    with pytest.raises(ConfigError, match=twins):
        expand(make_plan(study, overrides=overrides))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ({"environment.id": "ant"}, r"override environment\.id would change nothing in study mine; write --robot"),
        ({"environment": {"id": "ant"}}, r"override environment\.id would change nothing"),
        ({"seed": 3}, "override seed would .* write --seeds N"),
        ({"name": "mine"}, "override name would .* --output FOLDER"),
        ({"output": "here"}, "override output would .* write --output FOLDER"),
        ({"finetune": {"steps": 3}}, r"override finetune\.steps would .* write steps in the scales"),
        ({"evaluation.conditions": []}, r"override evaluation\.conditions would .* write conditions in a study"),
        ({"evaluation.adaptive_attack": True}, r"override evaluation\.adaptive_attack would .* use afrl run"),
        ({"search.space": {"seed": [1]}}, "a study has no search"),
    ],
)
def test_what_the_study_decides_cannot_be_set(override: dict[str, Any], message: str, make_plan: MakePlan) -> None:
    with pytest.raises(ConfigError, match=message):
        expand(make_plan(overrides=override))


def test_nothing_is_overwritten_in_a_study_file_either(make_plan: MakePlan) -> None:
    with pytest.raises(ConfigError, match="study mine, grid: seed would change nothing in study mine"):
        expand(make_plan({"grid": {"seed": [1, 2]}}))
    with pytest.raises(ConfigError, match=r"study mine, arm a: finetune\.steps would change nothing"):
        expand(make_plan({"arms": {"a": {"settings": {"finetune.steps": 10}}}}))
    with pytest.raises(
        ConfigError, match=r"study mine, arm a: runtime\.resources\.trial\.cpus is the same for all runs"
    ):
        expand(make_plan({"arms": {"a": {"settings": {"runtime.resources.trial.cpus": 2}}}}))
    with pytest.raises(ConfigError, match=r"study mine, grid: tracking\.experiment is the same for all runs"):
        expand(make_plan({"grid": {"tracking.experiment": ["a", "b"]}}))


def test_what_is_beside_the_decided_settings_is_free(make_plan: MakePlan) -> None:
    overrides = {"environment": {"max_episode_steps": 50}, "evaluation.episodes": 3}
    case, *_ = expand(make_plan(overrides=overrides))
    assert (case.settings.environment.id, case.settings.environment.max_episode_steps) == ("Hopper-v4", 50)
    assert case.settings.evaluation.episodes == 3


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
