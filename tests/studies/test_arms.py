from collections.abc import Callable
from pathlib import Path

import pytest

from afrl_ray.config import TD3Settings
from afrl_ray.config.study import ScaleSettings
from afrl_ray.studies.arms import arms_section
from afrl_ray.studies.expand import expand
from afrl_ray.studies.files import load_scale, load_study, scale_names
from afrl_ray.studies.plan import Case, Plan

MakePlan = Callable[..., Plan]


def cases_of(study: str, scale: str, output: Path) -> dict[str, Case]:
    """Those of one robot and seed, by arm."""
    plan = Plan(study, load_study(study), scale, load_scale(scale), output, robots=("hopper",), seeds=1)
    return {case.arm: case for case in expand(plan)}


@pytest.mark.parametrize("scale", scale_names())
@pytest.mark.parametrize("study", ["table1", "fig4"])
def test_scratch_has_the_terms_of_fine_tuning_but_for_the_hand_over(study: str, scale: str, tmp_path: Path) -> None:
    cases = cases_of(study, scale, tmp_path)
    scratch, tuned = (cases[arm].settings for arm in ("fully online (adversarial)", "fine-tuned (adversarial)"))
    assert isinstance(scratch.finetune.algorithm, TD3Settings)
    hand_over = {"actor_learning_rate": 3e-4, "critic_only_updates": 0}
    assert scratch.finetune.algorithm == tuned.finetune.algorithm.model_copy(update=hand_over)
    other = {"start": "scratch", "random_steps": scratch.finetune.random_steps}
    assert scratch.finetune == tuned.finetune.model_copy(update={**other, "algorithm": scratch.finetune.algorithm})
    assert scratch.curriculum == tuned.curriculum


def test_the_report_says_what_arms_change_and_what_the_scale_notes(make_plan: MakePlan) -> None:
    study = {
        "arms": {
            "offline": {"trained": False},
            "plain": {},
            "wide": {"presets": ["wide"], "settings": {"finetune.offline_ratio": 0.7}},
            "linear": {"settings": {"curriculum": {"type": "linear"}}, "match_mean_q": "plain"},
        }
    }
    plan = make_plan(study, {"notes": {"wide": "Wide is ours."}}, robots=("ant",))
    differ, common = arms_section(plan, expand(plan))
    assert differ.text.splitlines() == [
        "- offline: not fine-tuned",
        "- plain: finetune.offline_ratio = 0.25",
        "- wide: finetune.algorithm.policy_delay = 3; finetune.offline_ratio = 0.7",
        "- linear: finetune.offline_ratio = 0.25; curriculum.type = linear; "
        "q_max so that the mean of q is that of plain",
        "",
        "Wide is ours.",
    ]
    assert common.text == "- all: data.transitions = 500; finetune.evaluation_interval = 100"


def test_robots_that_have_settings_of_their_own_are_told_apart(make_plan: MakePlan) -> None:
    """The scale gives the ant a ratio of its own, which one of the arms does not leave it."""
    arms = {"plain": {}, "more": {"settings": {"finetune.offline_ratio": 0.7}}}
    plan = make_plan({"arms": arms}, robots=("hopper", "ant"))
    differ, common = arms_section(plan, expand(plan))
    assert differ.text.splitlines() == [
        "- plain: nothing",
        "- plain, ant: finetune.offline_ratio = 0.25",
        "- more: finetune.offline_ratio = 0.7",
    ]
    assert common.text == "- all: data.transitions = 500; finetune.evaluation_interval = 100"
    plan = make_plan({"arms": {"plain": {}}}, robots=("hopper", "ant"))
    assert arms_section(plan, expand(plan))[1].text.splitlines()[-1] == "- ant: finetune.offline_ratio = 0.25"


def test_it_is_said_where_arms_are_tested_under_different_faults(make_plan: MakePlan) -> None:
    arms = {"plain": {}, "biased": {"settings": {"perturbation.fault.type": "bias"}}}
    plan = make_plan({"arms": arms}, robots=("hopper", "ant"))
    differ = arms_section(plan, expand(plan))[0].text
    assert "biased: perturbation.fault.type = bias" in differ
    assert "The arms have different faults, and each is tested under its own." in differ
    wide = {"presets": ["wide"], "settings": {"perturbation.epsilon": 0.3}}  # the hopper's own
    same = make_plan({"arms": {"plain": {}, "wide": wide}}, robots=("hopper",))
    assert "different faults" not in arms_section(same, expand(same))[0].text


def test_nothing_is_listed_that_an_algorithm_does_not_have(tmp_path: Path) -> None:
    """The small scale sets TD3's exploration noise; table 3 trains SAC."""
    plan = Plan("table3", load_study("table3"), "small", load_scale("small"), tmp_path)
    differ, common = arms_section(plan, expand(plan))
    assert "exploration_noise" not in differ.text + common.text
    assert "curriculum.type = adaptive" in common.text
    assert "curriculum.q" not in common.text


def test_the_small_scale_notes_how_scratch_still_differs(tmp_path: Path) -> None:
    plan = Plan("table1", load_study("table1"), "small", load_scale("small"), tmp_path)
    assert "the actor learns with 3e-4" in arms_section(plan, expand(plan))[0].text
    plan = Plan("attackers", load_study("attackers"), "small", load_scale("small"), tmp_path)
    (common,) = arms_section(plan, expand(plan))
    assert "pretrain.updates = 40000" in common.text


def test_a_note_is_about_a_preset() -> None:
    scale = {"description": "", "seeds": 1, "robots": ["hopper"], "policy_interval": 100, "presets": {"wide": {}}}
    with pytest.raises(ValueError, match=r"notes\.wild is about no preset; there are wide"):
        ScaleSettings.model_validate({**scale, "notes": {"wild": "Ours."}})
