"""Results that no study's cases could be drawn as are refused while nothing has run."""

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from afrl_ray.config import ConfigError
from afrl_ray.config.study import StudySettings
from afrl_ray.studies.expand import expand
from afrl_ray.studies.plan import Plan

MakePlan = Callable[..., Plan]
NOISE = {"grid": {"finetune.algorithm.exploration_noise": [0.1, 0.2]}}
MODE = {"grid": {"finetune.algorithm.mixed_precision": ["on", "off"]}}
UNTRAINED = {"arms": {"offline": {"trained": False}}}
TWO = {"arms": {"tuned": {}, "wide": {"presets": ["wide"]}}}


def refused(study: dict[str, Any], results: list[dict[str, Any]], make_plan: MakePlan) -> str:
    with pytest.raises(ConfigError) as error:
        expand(make_plan({**study, "results": results}))
    return str(error.value).removeprefix("study mine, results[0], ")


@pytest.mark.parametrize(
    ("study", "result", "message"),
    [
        (
            NOISE,
            {"type": "convergence", "reference": "tuned"},
            "reference is 'tuned', but the grid makes several",
        ),
        ({}, {"type": "convergence", "reference": "offline"}, "reference is 'offline', but it is not trained"),
        (
            {},
            {"type": "convergence", "reference": "tuned", "condition": "pgd"},
            "validation has no condition pgd in every training; write one of normal, random, adversarial",
        ),
        (NOISE, {"type": "scores", "baseline": "tuned"}, "baseline is 'tuned', but the grid makes several of it"),
        (UNTRAINED, {"type": "curves"}, "curves: no arm is trained"),
        (UNTRAINED, {"type": "q"}, "q: no arm is trained"),
        (UNTRAINED, {"type": "mean_q"}, "mean_q: no arm is trained"),
        (
            {"conditions": [{"name": "dead", "fault": {"type": "dead_joint"}}]},
            {"type": "curves"},
            "none of the study's conditions is one of validation",
        ),
        ({"conditions": ["pgd"]}, {"type": "curves"}, "none of the study's conditions is one of validation"),
        ({"conditions": ["random"]}, {"type": "against_data"}, "data are compared with scores under normal"),
        (
            MODE,
            {"type": "scores_against", "setting": "finetune.algorithm.mixed_precision"},
            "setting is finetune.algorithm.mixed_precision, which has the value 'on' in the grid; an axis needs",
        ),
        (
            {"grid": {"finetune.algorithm.bc_alpha": [None, 2.5]}},
            {"type": "scores_against", "setting": "finetune.algorithm.bc_alpha"},
            "which has the value None in the grid",
        ),
        (
            {**NOISE, **TWO},
            {"type": "scores_against", "setting": "finetune.algorithm.exploration_noise"},
            "the trained arms tuned, wide would be one line; write a study for each of them",
        ),
        (
            {**NOISE, **TWO},
            {"type": "q", "panels": "finetune.algorithm.exploration_noise"},
            "the trained arms tuned, wide would be one line",
        ),
        (
            NOISE,
            {
                "type": "grid",
                "x": "finetune.algorithm.exploration_noise",
                "lines": "finetune.algorithm.exploration_noise",
            },
            "x and lines are both finetune.algorithm.exploration_noise; write another setting",
        ),
    ],
)
def test_results_that_cannot_be_made_are_refused(
    study: dict[str, Any], result: dict[str, Any], message: str, make_plan: MakePlan
) -> None:
    assert message in refused(study, [result], make_plan)


def test_two_results_with_the_same_files_are_refused(make_plan: MakePlan) -> None:
    with pytest.raises(ConfigError, match=r"results\[1\], scores: there are two, which would write the same files"):
        expand(make_plan({"results": [{"type": "scores"}, {"type": "scores", "baseline": "tuned"}]}))
    noise, delay = "finetune.algorithm.exploration_noise", "finetune.algorithm.policy_delay"
    study = {
        "arms": {"tuned": {}},
        "grid": {noise: [0.1, 0.2], delay: [1, 2]},
        "results": [{"type": "scores_against", "setting": setting} for setting in (noise, delay)],
    }
    assert len(expand(make_plan(study, seeds=1))) == 4


@pytest.mark.parametrize(
    ("values", "message"), [([], "curriculum.q has no values"), ([0.5, 0.2, 0.5], "curriculum.q has 0.5 twice")]
)
@pytest.mark.parametrize("of_the_scale", [False, True])
def test_grids_have_every_value_once(
    values: list[float], message: str, of_the_scale: bool, make_plan: MakePlan
) -> None:
    study: dict[str, Any] = {"grid": {"curriculum.q": [0.1] if of_the_scale else values}}
    if of_the_scale:
        study["scales"] = {"tiny": {"steps": 400, "grid": {"curriculum.q": values}}}
    with pytest.raises(ValidationError, match=message):
        make_plan(study)


def test_a_condition_called_like_a_column_of_the_curves_is_not_drawn_as_one(make_plan: MakePlan) -> None:
    bias = {"name": "q", "fault": {"type": "bias"}}
    message = refused({"conditions": [bias]}, [{"type": "curves"}], make_plan)
    assert "none of the study's conditions is one of validation" in message
    plan = make_plan({"conditions": ["normal", bias], "results": [{"type": "curves"}]})
    assert isinstance(plan.study, StudySettings)
    assert plan.study.plain_conditions == ("normal",)
    assert expand(plan)
