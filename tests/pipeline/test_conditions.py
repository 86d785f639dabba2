from typing import Any

import numpy as np
import pytest
import torch

from afrl_ray.attacks import AttackBank, BankMismatchError
from afrl_ray.config import ConfigError, FaultSettings, load_experiment
from afrl_ray.networks import Critic, CriticGradients, Policy
from afrl_ray.perturbations import Body, StepwisePGD
from afrl_ray.pipeline.attack import adversarial_faults, attack_stage
from afrl_ray.pipeline.conditions import ADAPTIVE, EvaluatedConditions
from afrl_ray.pipeline.experiment import Experiment

BIAS, STRONG_BIAS = (FaultSettings(type="bias", magnitude=magnitude) for magnitude in (0.3, 1.0))
MULTIPLICATIVE = FaultSettings(magnitude=0.3)
ALL = (
    "evaluation.conditions=[normal, random, adversarial, pgd, {name: biased, fault: {type: bias}, condition: random}, "
    "{name: worst bias, fault: {type: bias}, condition: adversarial}, "
    "{name: worst strong bias, fault: {type: bias, magnitude: 1}, condition: adversarial}, "
    "{name: weak, fault: {type: multiplicative, magnitude: 0.1}}]"
)


def experiment(*overrides: str) -> Experiment:
    return Experiment(load_experiment(None, ["environment.id=hopper", "evaluation.episodes=4", *overrides]))


def policy() -> Policy:
    torch.manual_seed(0)
    return Policy(11, -np.ones(3), np.ones(3), (8,))


def bank(fault: FaultSettings, joints: int = 3) -> AttackBank:
    ones = np.ones(2, np.int64)
    deltas = np.full((2, joints), 0.1, np.float32) * [[1], [2]]
    return AttackBank(deltas.astype(np.float32), ones.astype(np.float64), ones, ones, fault, "Hopper-v4", "")


def critic() -> CriticGradients:
    return CriticGradients(policy().normalizer, Critic(11, 3, (8,)))


def test_every_condition_has_its_fault_and_the_parameters_that_it_chooses() -> None:
    banks = {fault: bank(fault) for fault in (MULTIPLICATIVE, BIAS, STRONG_BIAS)}
    episodes = EvaluatedConditions(experiment(ALL), banks, critic()).episodes(policy(), bank(MULTIPLICATIVE))
    by_name = {one.condition: one for one in episodes}
    assert list(by_name) == [
        *("normal", "random", "adversarial", "pgd", "biased", "worst bias", "worst strong bias", "weak"),
        ADAPTIVE,
    ]
    kinds = {name: (one.fault.kind, one.fault.magnitude) for name, one in by_name.items()}
    assert kinds["random"] == kinds["pgd"] == ("multiplicative", 0.3)
    assert kinds["biased"] == ("bias", 0.3)
    assert kinds["worst strong bias"] == ("bias", 1.0)
    assert np.abs(by_name["weak"].parameters).max() <= np.float32(0.1)
    assert isinstance(by_name["pgd"].fault, StepwisePGD)
    np.testing.assert_array_equal(by_name["worst bias"].parameters[:, 0], np.float32([0.1, 0.2, 0.1, 0.2]))
    np.testing.assert_array_equal(by_name["weak"].seeds, by_name["normal"].seeds)
    # played together: the experiment's own, and those under one other fault
    assert by_name["normal"].fault is by_name["adversarial"].fault is by_name[ADAPTIVE].fault
    assert by_name["biased"].fault is by_name["worst bias"].fault


def test_all_policies_see_the_same_noise_where_the_pretrained_one_is_known() -> None:
    """Policies that were trained from scratch have no statistics of their own."""
    noisy = experiment("evaluation.conditions=[{name: noise, fault: {type: observation_noise}}]")
    pretrained, scratch = policy(), policy()
    pretrained.normalizer.set_statistics(np.zeros(11), np.full(11, 0.2))
    known = EvaluatedConditions(noisy, {}, body=Body.of(pretrained))
    for one in (pretrained, scratch):
        (episodes,) = known.episodes(one)
        np.testing.assert_array_equal(episodes.fault.body.observation_std, np.full(11, 0.2, np.float32))
    (own,) = EvaluatedConditions(noisy, {}).episodes(scratch)
    np.testing.assert_array_equal(own.fault.body.observation_std, np.ones(11))


def test_what_is_missing_or_does_not_fit_is_named() -> None:
    cases: list[tuple[dict[FaultSettings, AttackBank], Any, type[Exception], str]] = [
        ({}, critic(), ValueError, "condition adversarial needs an attack bank for multiplicative 0.3"),
        ({MULTIPLICATIVE: bank(MULTIPLICATIVE)}, None, ValueError, "condition pgd needs the critic"),
        ({MULTIPLICATIVE: bank(BIAS)}, critic(), BankMismatchError, "is for bias faults, not for multiplicative"),
        ({MULTIPLICATIVE: bank(MULTIPLICATIVE, 6)}, critic(), BankMismatchError, "θ has 6 numbers"),
    ]
    for banks, own_critic, error, message in cases:
        with pytest.raises(error, match=message):
            EvaluatedConditions(experiment(ALL), banks, own_critic).episodes(policy())


def test_the_faults_that_need_banks() -> None:
    assert adversarial_faults(experiment(ALL)) == [MULTIPLICATIVE, BIAS, STRONG_BIAS]
    assert adversarial_faults(experiment("evaluation.conditions=[normal, pgd]")) == []
    own = experiment("perturbation.fault={type: bias}")
    assert own.fault == BIAS
    assert adversarial_faults(own) == [BIAS]


def test_banks_of_other_faults_do_not_move_the_attack_stage() -> None:
    pretrain = experiment().stage("pretrain", "pretrain", {})
    stages = [attack_stage(experiment(*overrides), pretrain) for overrides in ((), (ALL,))]
    assert stages[0].key == stages[1].key
    assert attack_stage(experiment(ALL), pretrain, STRONG_BIAS).name == "attack_bias_1"
    others = [("perturbation.fault.type=bias",), ("perturbation.epsilon=0.2",), ("environment.id=ant",)]
    assert len({stages[0].key, *(attack_stage(experiment(*one), pretrain).key for one in others)}) == 4


def test_the_magnitude_is_the_faults_own_then_epsilon_then_the_robots() -> None:
    assert experiment("perturbation.fault={magnitude: 0.7}").fault.magnitude == 0.7
    assert experiment("perturbation.epsilon=0.2").fault.magnitude == 0.2
    assert experiment().fault.magnitude == 0.3
    assert experiment("environment.id=ant").fault.magnitude == 0.5
    assert experiment("perturbation.fault={type: delay}", "environment.id=Somebody-v0").fault.magnitude == 3
    with pytest.raises(ValueError, match=r"Somebody-v0 has no default bound; set perturbation\.epsilon"):
        _ = experiment("environment.id=Somebody-v0").fault


def test_epsilon_may_be_that_of_a_condition_alone() -> None:
    weak = "evaluation.conditions=[{name: weak, fault: {type: multiplicative}}]"
    (episodes,) = EvaluatedConditions(
        experiment("perturbation.fault.type=bias", "perturbation.epsilon=0.2", weak), {}
    ).episodes(policy())
    assert (episodes.fault.kind, episodes.fault.magnitude) == ("multiplicative", 0.2)
    with pytest.raises(ConfigError, match=r"epsilon \(0\.2\) is the bound of multiplicative faults"):
        experiment("perturbation.fault.type=bias", "perturbation.epsilon=0.2")


def test_only_some_of_the_conditions() -> None:
    """What the others are for stays as it is: the bound here is only that of the condition that is left out."""
    settings = ["perturbation.fault.type=bias", "perturbation.epsilon=0.2"]
    both = experiment(*settings, "evaluation.conditions=[normal, {name: weak, fault: {type: multiplicative}}]")
    asked = both.settings.evaluation.conditions[:1]
    assert [one.condition for one in EvaluatedConditions(both, {}, only=asked).episodes(policy())] == ["normal"]
