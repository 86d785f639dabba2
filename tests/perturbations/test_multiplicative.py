import numpy as np
import pytest

from afrl_ray.config import Condition
from afrl_ray.perturbations import draw_deltas, executed_actions

EPISODES = 40_000
EPSILON = 0.3
BANK = np.array([[0.3, -0.3, 0.1], [-0.2, 0.2, 0.0], [0.0, 0.1, -0.3], [0.3, 0.3, 0.3]], dtype=np.float32)


def draw(condition: Condition, count: int = EPISODES, *, q: float = 1.0, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return draw_deltas(condition, count, 3, q=q, epsilon=EPSILON, bank=BANK, generator=generator)


def test_executed_is_intended_times_one_plus_delta() -> None:
    intended = np.array([[0.5, -0.4, 0.0], [1.0, -1.0, 0.2]], dtype=np.float32)
    deltas = np.array([[0.2, -0.5, 0.3], [0.0, 0.0, -1.0]], dtype=np.float32)
    bound = np.ones(3, dtype=np.float32)
    expected = [[0.6, -0.2, 0.0], [1.0, -1.0, 0.0]]
    np.testing.assert_allclose(executed_actions(intended, deltas, -bound, bound), expected, rtol=1e-6)


def test_executed_stays_within_each_joints_own_bounds() -> None:
    intended = np.array([[1.0, -2.0]], dtype=np.float32)
    deltas = np.array([[0.5, 0.5]], dtype=np.float32)
    low, high = np.array([-1.0, -2.5], dtype=np.float32), np.array([1.0, 2.5], dtype=np.float32)
    np.testing.assert_array_equal(executed_actions(intended, deltas, low, high), [[1.0, -2.5]])


def test_executed_leaves_its_arguments_alone() -> None:
    intended, deltas = np.full((2, 3), 0.5, np.float32), np.full((2, 3), 0.9, np.float32)
    result = executed_actions(intended, deltas, np.full(3, -0.6, np.float32), np.full(3, 0.6, np.float32))
    assert result.dtype == np.float32
    np.testing.assert_array_equal(intended, 0.5)
    np.testing.assert_array_equal(deltas, np.float32(0.9))


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
        draw_deltas(condition, 7, 3, q=q, epsilon=EPSILON, bank=BANK, generator=generator)
        after.append(generator.random())
    assert after[0] == after[1] == after[2]


@pytest.mark.parametrize("bank", [None, np.zeros((0, 3), np.float32)])
def test_an_adversarial_draw_needs_a_bank(bank: np.ndarray | None) -> None:
    with pytest.raises(ValueError, match="needs an attack bank"):
        draw_deltas("adversarial", 1, 3, q=1.0, epsilon=0.3, bank=bank, generator=np.random.default_rng(0))


def test_a_bank_of_another_robot_is_refused() -> None:
    with pytest.raises(ValueError, match="for 3 joints, the environment has 6"):
        draw_deltas("adversarial", 1, 6, q=1.0, epsilon=0.3, bank=BANK, generator=np.random.default_rng(0))


@pytest.mark.parametrize("condition", ["normal", "random"])
def test_other_conditions_need_no_bank(condition: Condition) -> None:
    draws = draw_deltas(condition, 2, 3, q=1.0, epsilon=0.3, bank=None, generator=np.random.default_rng(0))
    assert draws.shape == (2, 3)


def test_no_episodes_are_no_draws() -> None:
    assert draw("adversarial", 0).shape == (0, 3)
