from collections.abc import Callable

import numpy as np
import pytest
import torch

from afrl_ray.networks import Policy
from afrl_ray.studies.expand import expand
from afrl_ray.studies.foundations import Foundation
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
