"""Checkpoints side by side: which bank goes with which condition. What is played is in test_conditions.py."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from afrl_ray.attacks import AttackBank
from afrl_ray.config import FaultSettings, load_experiment
from afrl_ray.networks import Policy, save_policy_file
from afrl_ray.pipeline import checkpoints
from afrl_ray.pipeline.checkpoints import evaluate_checkpoints, policy_names

WEAK, STRONG = FaultSettings(magnitude=0.2), FaultSettings(magnitude=0.4)
BIAS = FaultSettings(type="bias", magnitude=1.0)
BIASED = "evaluation.conditions=[normal, adversarial, {name: biased, fault: {type: bias}, condition: adversarial}]"
STRONGER = "{name: stronger, fault: {type: multiplicative, magnitude: 0.4}, condition: adversarial}"


class Begun(Exception):
    """Everything was in order: the episodes would be played now."""


@pytest.fixture(autouse=True)
def without_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    def begin(*_: Any) -> None:
        raise Begun

    monkeypatch.setattr(checkpoints, "connect", begin)


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    save_policy_file(Policy(11, -np.ones(3), np.ones(3), (8,)), tmp_path / "policy.safetensors")
    return tmp_path / "policy.safetensors"


def saved(fault: FaultSettings, folder: Path, environment: str = "Hopper-v4") -> Path:
    ones = np.ones(2, np.int64)
    path = folder / f"{fault}.npz"
    AttackBank(np.full((2, 3), 0.1, np.float32), ones / 2, ones, ones, fault, environment, "").save(path)
    return path


def evaluate(policies: list[Path], banks: list[Path], *overrides: str) -> None:
    settings = load_experiment(None, ["environment.id=hopper", "evaluation.adaptive_attack=false", *overrides])
    evaluate_checkpoints(policies, settings, banks, None, policies[0].parent / "out")


def test_a_bank_brings_its_magnitude(policy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Begun):
        evaluate([policy], [saved(WEAK, policy.parent)])
    assert capsys.readouterr().err == "multiplicative 0.2: the magnitude is the bank's\n"


def test_what_the_bank_brings_is_what_random_faults_have(policy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    class Recorded(checkpoints.EvaluatedConditions):
        def episodes(self, *arguments: Any) -> Any:
            made.extend(super().episodes(*arguments))
            return made

    monkeypatch.setattr(checkpoints, "EvaluatedConditions", Recorded)
    with pytest.raises(Begun):
        evaluate([policy], [saved(WEAK, policy.parent), saved(BIAS, policy.parent)], BIASED)
    assert {one.condition: (one.fault.kind, one.fault.magnitude) for one in made} == {
        "normal": ("multiplicative", 0.2),
        "adversarial": ("multiplicative", 0.2),
        "biased": ("bias", 1.0),
    }


@pytest.mark.parametrize("override", ["perturbation.epsilon=0.2", "perturbation.fault.magnitude=0.2"])
def test_the_same_magnitude_may_be_given(override: str, policy: Path) -> None:
    with pytest.raises(Begun):
        evaluate([policy], [saved(WEAK, policy.parent)], override)


def test_faults_of_one_kind_take_a_bank_each(policy: Path) -> None:
    conditions = f"evaluation.conditions=[adversarial, {STRONGER}]"
    banks = [saved(WEAK, policy.parent), saved(STRONG, policy.parent)]
    with pytest.raises(Begun):
        evaluate([policy], banks, conditions, "perturbation.epsilon=0.2")
    with pytest.raises(ValueError, match=r"no --bank is for multiplicative 0\.4, which a condition asks for; .*0\.4`$"):
        evaluate([policy], banks[:1], conditions, "perturbation.epsilon=0.2")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["perturbation.epsilon=0.3"],
            r"0\.2\.npz is for multiplicative 0\.2, which no adversarial condition is under "
            r"\(they are under multiplicative 0\.3\)$",
        ),
        (["perturbation.fault.type=bias"], r"is for multiplicative 0\.2, .* \(they are under bias 0\.3\)$"),
        (["evaluation.conditions=[normal]"], r"which no adversarial condition is under \(there are none\)$"),
    ],
)
def test_a_bank_of_another_fault_is_refused(overrides: list[str], message: str, policy: Path) -> None:
    with pytest.raises(ValueError, match=message):
        evaluate([policy], [saved(WEAK, policy.parent)], *overrides)


def test_a_bank_of_another_robot_is_refused(policy: Path, tmp_path: Path) -> None:
    with pytest.raises(Begun):
        evaluate([policy], [saved(WEAK, tmp_path, "Hopper-v5")])
    with pytest.raises(ValueError, match=r"multiplicative 0\.2\.npz is for walker2d, not for hopper$"):
        evaluate([policy], [saved(WEAK, tmp_path, "Walker2d-v4")])


def test_two_banks_for_one_fault_are_refused(policy: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with pytest.raises(ValueError, match=r"is a second attack bank for multiplicative 0\.2; give one for each fault"):
        evaluate([policy], [saved(WEAK, tmp_path), saved(WEAK, tmp_path / "other")])


def test_without_a_bank_a_condition_is_left_out_where_nothing_else_is_wrong(
    policy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(FileNotFoundError):
        evaluate([tmp_path / "nothing"], [])
    with pytest.raises(ValueError, match="policy takes 11 observations"):
        evaluate([policy], [], "environment.id=ant")
    assert capsys.readouterr().err == ""
    with pytest.raises(Begun):
        evaluate([policy], [])
    assert capsys.readouterr().err.startswith("no --bank given: the adversarial condition is left out (make one with")
    with pytest.raises(ValueError, match=r"the adversarial condition needs an attack bank: .* then add --bank"):
        evaluate([policy], [], "evaluation.conditions=[adversarial]")


def test_a_policy_given_twice_is_refused(policy: Path, tmp_path: Path) -> None:
    again = tmp_path / "x" / ".." / "policy.safetensors"
    (tmp_path / "x").mkdir()
    with pytest.raises(ValueError, match=r"x/\.\./policy\.safetensors is given twice; name every policy once"):
        evaluate([policy, again], [])


def test_policies_are_called_by_the_last_part_of_their_path_where_that_tells_them_apart() -> None:
    assert policy_names([Path("a/one.safetensors"), Path("b/two")]) == ["one", "two"]
    assert policy_names([Path("a/one"), Path("b/one")]) == ["a/one", "b/one"]


def test_a_critic_of_another_robot_is_refused(policy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ant = SimpleNamespace(policy=Policy(27, -np.ones(8), np.ones(8), (8,)))
    monkeypatch.setattr(checkpoints, "load_module", lambda _: ant)
    settings = load_experiment(None, ["environment.id=hopper", "evaluation.conditions=[normal, pgd]"])
    with pytest.raises(ValueError, match=r"ant/checkpoint takes 27 observations and gives 8 actions"):
        evaluate_checkpoints([policy], settings, [], Path("ant/checkpoint"), policy.parent / "out")
