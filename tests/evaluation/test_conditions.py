import numpy as np
import pytest

from afrl_ray.config import FAULTS, FaultSettings, PGDSettings
from afrl_ray.evaluation.conditions import CONDITIONS, EvaluationPlan
from afrl_ray.networks import Critic, CriticGradients, ObservationNormalizer
from afrl_ray.perturbations import Body, Multiplicative, StepwisePGD, make_fault

FAULT = Multiplicative(0.3, Body(-np.ones(3, np.float32), np.ones(3, np.float32), np.ones(11, np.float32)))
BANK = np.array([[0.1, -0.2, 0.3], [-0.3, 0.3, 0.3]], dtype=np.float32)


def plan(episodes: int = 10, *, run_seed: int = 0, purpose: str = "test") -> EvaluationPlan:
    return EvaluationPlan(run_seed, purpose, episodes, FAULT)


def test_all_conditions_share_their_seeds() -> None:
    seeds = [plan().under(condition, bank=BANK).seeds for condition in CONDITIONS]
    np.testing.assert_array_equal(seeds[0], seeds[1])
    np.testing.assert_array_equal(seeds[0], seeds[2])
    assert len(set(seeds[0])) == 10
    assert seeds[0].min() >= 0
    assert seeds[0].max() < 2**31


def test_validation_and_test_seeds_are_disjoint() -> None:
    for run_seed in range(5):
        test = plan(1000, run_seed=run_seed).under("normal").seeds
        validation = plan(1000, run_seed=run_seed, purpose="validation").under("normal").seeds
        assert not set(test) & set(validation)


def test_purposes_and_run_seeds_have_other_deltas() -> None:
    parameters = plan().under("random").parameters
    assert not np.array_equal(parameters, plan(purpose="validation").under("random").parameters)
    assert not np.array_equal(parameters, plan(run_seed=1).under("random").parameters)


def test_normal_is_zero_and_random_is_within_epsilon() -> None:
    assert not plan().under("normal").parameters.any()
    parameters = plan(500).under("random").parameters
    assert parameters.dtype == np.float32
    assert np.abs(parameters).max() <= 0.3
    assert abs(parameters.mean()) < 0.02
    assert len(np.unique(parameters, axis=0)) == 500


def test_adversarial_takes_the_members_in_turn() -> None:
    parameters = plan(5).under("adversarial", bank=BANK).parameters
    np.testing.assert_array_equal(parameters, BANK[[0, 1, 0, 1, 0]])


@pytest.mark.parametrize("kind", FAULTS)
def test_every_fault_has_its_own_draws_and_neutral_episodes(kind: str) -> None:
    fault = make_fault(FaultSettings(type=kind, magnitude=1 if FAULTS[kind].whole else 0.4), FAULT.body)
    np.testing.assert_array_equal(plan(5).under("normal", fault=fault).parameters, np.tile(fault.neutral, (5, 1)))
    short, long = plan(20).under("random", fault=fault), plan(40).under("random", fault=fault)
    np.testing.assert_array_equal(short.parameters, long.parameters[:20])
    np.testing.assert_array_equal(short.seeds, plan(20).under("normal").seeds)
    assert short.fault is fault
    assert (short.parameters != fault.neutral).any(axis=1).all()
    bank = fault.parameters.draw(2, np.random.default_rng(0))
    np.testing.assert_array_equal(plan(3).under("adversarial", fault=fault, bank=bank).parameters, bank[[0, 1, 0]])


def test_pgd_leaves_the_choice_to_each_step() -> None:
    critic = CriticGradients(ObservationNormalizer(11), Critic(11, 3, (4,)))
    pgd = plan(3).under("pgd", fault=StepwisePGD(0.3, FAULT.body, PGDSettings(), critic), name="PGD")
    assert (pgd.condition, pgd.parameters.shape) == ("PGD", (3, 3))
    assert np.isnan(pgd.parameters).all()


@pytest.mark.parametrize("condition", CONDITIONS)
def test_a_short_evaluation_is_the_beginning_of_a_long_one(condition: str) -> None:
    short, long = plan(4).under(condition, bank=BANK), plan(9).under(condition, bank=BANK)
    np.testing.assert_array_equal(short.seeds, long.seeds[:4])
    np.testing.assert_array_equal(short.parameters, long.parameters[:4])


@pytest.mark.parametrize("bank", [None, np.zeros((0, 3), np.float32), np.zeros((2, 4), np.float32)])
def test_adversarial_refuses_a_missing_or_foreign_bank(bank: np.ndarray | None) -> None:
    with pytest.raises(ValueError, match="bank"):
        plan().under("adversarial", bank=bank)


def test_a_name_replaces_the_condition() -> None:
    assert plan().under("adversarial", bank=BANK).condition == "adversarial"
    assert plan().under("adversarial", bank=BANK, name="adaptive").condition == "adaptive"
