import numpy as np
import pytest

from afrl_ray.config import Condition
from afrl_ray.perturbations import Body, Fault, Multiplicative, draw_parameters

EPISODES = 40_000
EPSILON = 0.3
BANK = np.array([[0.3, -0.3, 0.1], [-0.2, 0.2, 0.0], [0.0, 0.1, -0.3], [0.3, 0.3, 0.3]], dtype=np.float32)


def multiplicative(joints: int = 3) -> Fault:
    return Multiplicative(EPSILON, Body(-np.ones(joints, np.float32), np.ones(joints, np.float32), np.ones(11)))


def draw(condition: Condition, count: int = EPISODES, *, q: float = 1.0, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return draw_parameters(condition, count, multiplicative(), q=q, bank=BANK, generator=generator)


def test_normal_is_never_perturbed() -> None:
    deltas = draw("normal")
    assert deltas.shape == (EPISODES, 3)
    assert deltas.dtype == np.float32
    assert not deltas.any()


@pytest.mark.parametrize("condition", ["random", "adversarial"])
@pytest.mark.parametrize("q", [0.0, 0.25, 1.0])
def test_a_share_q_of_the_episodes_is_perturbed(condition: Condition, q: float) -> None:
    share = draw(condition, q=q).any(axis=1).mean()
    assert share == pytest.approx(q, abs=4 * np.sqrt(q * (1 - q) / EPISODES))


def test_random_draws_are_uniform_and_independent_in_every_joint() -> None:
    deltas = draw("random").astype(np.float64)
    assert np.abs(deltas).max() <= EPSILON
    deviation = EPSILON / np.sqrt(3)  # of U[−ε, ε]
    np.testing.assert_allclose(deltas.mean(axis=0), 0.0, atol=4 * deviation / np.sqrt(EPISODES))
    np.testing.assert_allclose(deltas.std(axis=0), deviation, rtol=0.02)
    quarters = np.stack([np.histogram(joint, bins=4, range=(-EPSILON, EPSILON))[0] for joint in deltas.T])
    np.testing.assert_allclose(quarters / EPISODES, 0.25, atol=0.01)
    np.testing.assert_allclose(np.corrcoef(deltas.T), np.eye(3), atol=0.02)


def test_adversarial_draws_are_bank_members_equally_often() -> None:
    deltas = draw("adversarial")
    members, counts = np.unique(deltas, axis=0, return_counts=True)
    np.testing.assert_array_equal(members, np.unique(BANK, axis=0))
    np.testing.assert_allclose(counts / EPISODES, 0.25, atol=0.01)


def test_which_member_it_is_does_not_depend_on_q() -> None:
    perturbed = draw("adversarial", q=0.5)
    members, counts = np.unique(perturbed[perturbed.any(axis=1)], axis=0, return_counts=True)
    assert len(members) == len(BANK)
    np.testing.assert_allclose(counts / counts.sum(), 0.25, atol=0.02)


@pytest.mark.parametrize("condition", ["random", "adversarial"])
def test_the_generator_alone_decides(condition: Condition) -> None:
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    np.testing.assert_array_equal(draw(condition, 50, q=0.5), draw(condition, 50, q=0.5))
    assert not np.array_equal(draw(condition, 50, q=0.5), draw(condition, 50, q=0.5, seed=1))
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002


@pytest.mark.parametrize("condition", ["normal", "random", "adversarial"])
def test_q_does_not_move_the_generator(condition: Condition) -> None:
    """The draws after these are the same whatever q is, so that runs which differ in q alone stay comparable."""
    after = []
    for q in (0.0, 0.5, 1.0):
        generator = np.random.default_rng(3)
        draw_parameters(condition, 7, multiplicative(), q=q, bank=BANK, generator=generator)
        after.append(generator.random())
    assert after[0] == after[1] == after[2]


@pytest.mark.parametrize("bank", [None, np.zeros((0, 3), np.float32)])
def test_an_adversarial_draw_needs_a_bank(bank: np.ndarray | None) -> None:
    with pytest.raises(ValueError, match="needs an attack bank"):
        draw_parameters("adversarial", 1, multiplicative(), q=1, bank=bank, generator=np.random.default_rng(0))


def test_a_bank_of_another_robot_is_refused() -> None:
    with pytest.raises(ValueError, match="θ has 3 numbers, a multiplicative fault of this robot takes 6"):
        draw_parameters("adversarial", 1, multiplicative(6), q=1, bank=BANK, generator=np.random.default_rng(0))


@pytest.mark.parametrize("condition", ["normal", "random"])
def test_other_conditions_need_no_bank(condition: Condition) -> None:
    draws = draw_parameters(condition, 2, multiplicative(), q=1, bank=None, generator=np.random.default_rng(0))
    assert draws.shape == (2, 3)


def test_no_episodes_are_no_draws() -> None:
    assert draw("adversarial", 0).shape == (0, 3)


def test_draws_are_the_numbers_they_have_always_been() -> None:
    """Recorded episodes can be played again only while a seed keeps its faults."""
    draws = draw("random", 2, q=0.9, seed=7)
    generator = np.random.default_rng(7)
    perturbed = generator.random(2) < 0.9
    expected = np.where(perturbed[:, None], generator.uniform(-EPSILON, EPSILON, (2, 3)), 0).astype(np.float32)
    np.testing.assert_array_equal(draws, expected)


def test_pgd_says_that_each_step_chooses_and_needs_a_fault_that_can() -> None:
    fault = multiplicative()
    with pytest.raises(ValueError, match="needs a fault that descends on a critic"):
        draw_parameters("pgd", 2, fault, q=1, bank=None, generator=np.random.default_rng(0))
    fault.chooses_at_each_step = True  # type: ignore[misc]
    draws = draw_parameters("pgd", 1000, fault, q=0.3, bank=None, generator=np.random.default_rng(0))
    attacked = np.isnan(draws).all(axis=1)
    assert 0.2 < attacked.mean() < 0.4
    assert not draws[~attacked].any()
