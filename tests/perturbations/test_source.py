import pickle

import numpy as np

from afrl_ray.perturbations import NO_PERTURBATION, ConstantSource, PerturbationSnapshot, draw_deltas

SNAPSHOT = PerturbationSnapshot("random", q=0.5, epsilon=0.2, bank=None)


def test_a_snapshot_draws_by_its_own_values() -> None:
    expected = draw_deltas("random", 100, 3, q=0.5, epsilon=0.2, bank=None, generator=np.random.default_rng(0))
    np.testing.assert_array_equal(SNAPSHOT.draw(100, 3, np.random.default_rng(0)), expected)


def test_a_constant_source_answers_the_same_after_a_journey() -> None:
    source = pickle.loads(pickle.dumps(ConstantSource(SNAPSHOT)))
    assert source.snapshot() == source.snapshot() == SNAPSHOT


def test_no_perturbation_is_none() -> None:
    assert not NO_PERTURBATION.draw(100, 4, np.random.default_rng(0)).any()
