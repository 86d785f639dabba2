"""What a command may not change in a study, nor a study in its arms, since it would be lost or make them the same."""

from collections.abc import Callable
from typing import Any

import pytest

from afrl_ray.config import ConfigError
from afrl_ray.studies.expand import expand
from afrl_ray.studies.plan import Plan

MakePlan = Callable[..., Plan]


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
