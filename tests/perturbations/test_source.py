import pickle
from dataclasses import replace

import numpy as np
import pytest

from afrl_ray.config import FaultSettings, PGDSettings
from afrl_ray.perturbations import (
    NO_PERTURBATION,
    Body,
    ConstantSource,
    Multiplicative,
    PerturbationSnapshot,
    draw_parameters,
)

BODY = Body(-np.ones(3, np.float32), np.ones(3, np.float32), np.ones(11, np.float32))
SNAPSHOT = PerturbationSnapshot("random", q=0.5, fault=FaultSettings(magnitude=0.2), bank=None)


def test_a_snapshot_draws_by_its_own_values() -> None:
    fault = Multiplicative(0.2, BODY)
    expected = draw_parameters("random", 100, fault, q=0.5, bank=None, generator=np.random.default_rng(0))
    np.testing.assert_array_equal(SNAPSHOT.draw(100, SNAPSHOT.make_fault(BODY), np.random.default_rng(0)), expected)


def test_the_noise_of_observations_may_be_that_of_another_policy() -> None:
    snapshot = PerturbationSnapshot("random", 1.0, FaultSettings(type="observation_noise", magnitude=0.1), None)
    np.testing.assert_array_equal(snapshot.make_fault(BODY).body.observation_std, np.ones(11))
    std = np.full(11, 0.2, np.float32)
    body = replace(snapshot, observation_std=std).make_fault(BODY).body
    np.testing.assert_array_equal(body.observation_std, std)
    np.testing.assert_array_equal(body.action_low, BODY.action_low)


def test_a_constant_source_answers_the_same_after_a_journey() -> None:
    source = pickle.loads(pickle.dumps(ConstantSource(SNAPSHOT)))
    assert source.snapshot() == source.snapshot() == SNAPSHOT


def test_no_perturbation_is_none() -> None:
    assert not NO_PERTURBATION.draw(100, NO_PERTURBATION.make_fault(BODY), np.random.default_rng(0)).any()


def test_pgd_takes_its_own_critic_or_the_current_one_and_needs_one() -> None:
    own, current = object(), object()
    for critic, expected in ((own, own), (None, current)):
        snapshot = PerturbationSnapshot("pgd", 1.0, FaultSettings(magnitude=0.2), None, PGDSettings(), critic)  # type: ignore[arg-type]
        fault = snapshot.make_fault(BODY, current)  # type: ignore[arg-type]
        assert fault._critic is expected  # type: ignore[attr-defined]
        assert (fault.magnitude, fault.chooses_at_each_step) == (0.2, True)
    with pytest.raises(ValueError, match="pgd needs a critic"):
        snapshot.make_fault(BODY)
