from collections.abc import Callable

import numpy as np
import pytest
import torch

from afrl_ray.networks import Policy
from afrl_ray.pipeline.foundation import Foundation
from afrl_ray.studies import measure
from afrl_ray.studies.expand import expand
from afrl_ray.studies.measure import Subject
from afrl_ray.studies.plan import Plan

MakePlan = Callable[..., Plan]


@pytest.fixture
def policy() -> Policy:
    torch.manual_seed(0)
    return Policy(11, -np.ones(3), np.ones(3), (8,))


def test_a_test_under_pgd_is_the_same_whichever_critic_the_training_had(make_plan: MakePlan, policy: Policy) -> None:
    arms = {
        "pretrained": {"settings": {"perturbation.condition": "pgd"}},
        "current": {"settings": {"perturbation.condition": "pgd", "perturbation.pgd.critic": "current"}},
        "longer": {"settings": {"perturbation.condition": "pgd", "perturbation.pgd.steps": 9}},
    }
    plan = make_plan({"arms": arms, "conditions": ["normal", "pgd"]}, seeds=1)
    subjects = [Subject(Foundation(case.settings, plan.output), policy, case.arm) for case in expand(plan)]
    pretrained, current, longer = (subject.stage("pgd").key for subject in subjects)
    assert pretrained == current != longer
    assert len({subject.stage("normal").key for subject in subjects}) == 1


def test_only_what_is_measured_alike_is_measured_together(
    make_plan: MakePlan, policy: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ε is that of a condition alone, so that the stages before fine-tuning do not depend on it."""
    study = {
        "arms": {"tuned": {}},
        "settings": {"perturbation.fault.type": "bias"},
        "grid": {"perturbation.epsilon": [0.1, 0.5]},
        "conditions": ["normal", {"name": "weak", "fault": {"type": "multiplicative"}}],
        "results": [{"type": "scores_against", "setting": "perturbation.epsilon"}],
    }
    plan = make_plan(study, seeds=1)
    subjects = [Subject(Foundation(case.settings, plan.output), policy, case.arm) for case in expand(plan)]
    assert subjects[0].foundation.key == subjects[1].foundation.key
    groups: list[list[str]] = []
    monkeypatch.setattr(measure, "_measure_group", lambda group, _: groups.append([one.name for one in group]))
    for conditions in (plan.study.conditions, plan.study.conditions[:1]):  # type: ignore[union-attr]
        measure.measure_all(subjects, conditions)
    weak, strong = (subject.name for subject in subjects)
    assert groups == [[weak], [strong], [weak, strong]]
