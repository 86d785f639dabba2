"""What each kind of fault does to a batch, by hand."""

from itertools import product

import numpy as np
import pytest

from afrl_ray.config import FAULTS, FaultSettings
from afrl_ray.perturbations import Body, Box, Fault, FiniteSet, RunningEpisodes, make_fault

LOW, HIGH = np.array([-1.0, -2.0], np.float32), np.array([1.0, 4.0], np.float32)  # half ranges 1 and 3, middles 0 and 1
BODY = Body(LOW, HIGH, np.array([1.0, 10.0, 0.5], np.float32))
SEEDS = np.array([11, 12])
OBSERVATIONS = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], np.float32)
INTENDED = np.array([[0.5, -1.0], [-1.0, 3.0]], np.float32)


def fault(kind: str, magnitude: float) -> Fault:
    return make_fault(FaultSettings(type=kind, magnitude=magnitude), BODY)


def episodes(of: Fault, *parameters: list[float]) -> RunningEpisodes:
    return RunningEpisodes(of, np.array(parameters, np.float32), SEEDS[: len(parameters)], OBSERVATIONS)


def test_every_kind_in_the_config_has_its_class() -> None:
    assert FAULTS.keys() == Fault.kinds.keys()


@pytest.mark.parametrize("kind", FAULTS)
def test_a_neutral_fault_changes_nothing(kind: str) -> None:
    one = fault(kind, FAULTS[kind].default or 0.3)
    running = episodes(one, *[one.neutral] * 2)
    for _ in range(5):
        np.testing.assert_array_equal(running.executed(INTENDED), INTENDED)
        np.testing.assert_array_equal(running.observe(OBSERVATIONS), OBSERVATIONS)
    assert running.executed(INTENDED).dtype == running.observations.dtype == one.neutral.dtype == np.float32


@pytest.mark.parametrize("kind", FAULTS)
def test_executed_actions_stay_in_the_action_space_and_arguments_are_left_alone(kind: str) -> None:
    one = fault(kind, FAULTS[kind].largest if not FAULTS[kind].whole else 2)
    intended, observations = INTENDED.copy(), OBSERVATIONS.copy()
    running = RunningEpisodes(one, one.parameters.draw(2, np.random.default_rng(0)), SEEDS, observations)
    for _ in range(20):
        executed = running.executed(intended)
        assert (executed >= LOW).all()
        assert (executed <= HIGH).all()
        running.observe(observations)
    np.testing.assert_array_equal(intended, INTENDED)
    np.testing.assert_array_equal(observations, OBSERVATIONS)


def test_multiplicative() -> None:
    one = fault("multiplicative", 0.5)
    assert one.parameters == Box(-0.5, 0.5, 2)
    running = episodes(one, [0.2, -0.5], [0.5, 0.5])
    np.testing.assert_allclose(running.executed(INTENDED), [[0.6, -0.5], [-1.0, 4.0]])  # the last row is clipped


def test_a_dead_joint_gets_nothing_whichever_it_is() -> None:
    one = fault("dead_joint", 1)
    assert isinstance(one.parameters, FiniteSet)
    np.testing.assert_array_equal(one.parameters.members, [[-1, 0], [0, -1]])
    running = episodes(one, *one.parameters.members)
    np.testing.assert_array_equal(running.executed(INTENDED), [[0.0, -1.0], [-1.0, 0.0]])


def test_several_dead_joints_are_every_choice_of_them() -> None:
    four = Body(-np.ones(4, np.float32), np.ones(4, np.float32), np.ones(3, np.float32))
    members = make_fault(FaultSettings(type="dead_joint", magnitude=2), four).parameters.members  # type: ignore[union-attr]
    assert sorted(members.tolist()) == sorted(
        [list(one) for one in product([-1.0, 0.0], repeat=4) if one.count(-1.0) == 2]
    )
    with pytest.raises(ValueError, match="3 dead joints are more than the 2 that this robot has"):
        _ = fault("dead_joint", 3).parameters


def test_bias_is_in_half_action_ranges() -> None:
    one = fault("bias", 0.4)
    assert one.parameters == Box(-0.4, 0.4, 2)
    running = episodes(one, [0.2, -0.1], [-0.4, 0.4])
    np.testing.assert_allclose(running.executed(INTENDED), [[0.7, -1.3], [-1.0, 4.0]], rtol=1e-6)


def test_saturation_leaves_a_share_of_the_range_around_its_middle() -> None:
    one = fault("saturation", 0.75)
    assert one.parameters == Box(0.25, 1.0, 2)
    np.testing.assert_array_equal(one.neutral, [1, 1])
    running = episodes(one, [0.25, 0.5], [1.0, 0.25])
    np.testing.assert_allclose(running.executed(INTENDED), [[0.25, -0.5], [-1.0, 1.75]])


def test_delay_by_each_episodes_own_number_of_steps() -> None:
    one = fault("delay", 3)
    assert isinstance(one.parameters, FiniteSet)
    np.testing.assert_array_equal(one.parameters.members, [[1], [2], [3]])
    running = episodes(one, [1], [3])
    sent = [np.array([[step, -step / 10], [step / 10, step]], np.float32) for step in range(1, 6)]
    late = [running.executed(actions) for actions in sent]
    first = [actions[0].tolist() for actions in late]
    second = [actions[1].tolist() for actions in late]
    assert first[0] == [0, 0]  # nothing has arrived yet
    np.testing.assert_allclose(first[1:4], np.clip([actions[0] for actions in sent[:3]], LOW, HIGH))
    np.testing.assert_allclose(second, np.clip([[0, 0]] * 3 + [actions[1] for actions in sent[:2]], LOW, HIGH))


def test_action_noise_by_joint_and_episode() -> None:
    one = fault("action_noise", 0.2)
    assert one.parameters == Box(0.0, 0.2, 2)
    running = episodes(one, [0.1, 0.05], [0.0, 0.2])
    zero = np.array([[0.0, 1.0], [0.0, 1.0]], np.float32)
    noise = np.stack([running.executed(zero) - zero for _ in range(4000)])  # (steps, episodes, joints)
    np.testing.assert_allclose(noise.mean(axis=0), 0.0, atol=0.03)
    np.testing.assert_allclose(noise.std(axis=0), [[0.1, 0.15], [0.0, 0.6]], rtol=0.05)
    assert abs(np.corrcoef(noise[1:, 0, 0], noise[:-1, 0, 0])[0, 1]) < 0.05  # each step anew
    assert abs(np.corrcoef(noise[:, 0, 1], noise[:, 1, 1])[0, 1]) < 0.05  # each episode its own


def test_observation_noise_is_in_the_normalisers_standard_deviations_and_leaves_actions_alone() -> None:
    one = fault("observation_noise", 0.3)
    assert one.parameters == Box(0.0, 0.3, 3)
    running = episodes(one, [0.1, 0.2, 0.3], [0.0, 0.0, 0.3])
    seen = [running.observations, *(running.observe(OBSERVATIONS) for _ in range(4000))]  # the first one included
    noise = np.stack(seen) - OBSERVATIONS
    np.testing.assert_allclose(noise.mean(axis=0), 0.0, atol=0.15)
    np.testing.assert_allclose(noise.std(axis=0), [[0.1, 2.0, 0.15], [0.0, 0.0, 0.15]], rtol=0.05)
    np.testing.assert_array_equal(running.executed(INTENDED), INTENDED)


@pytest.mark.parametrize("kind", [kind for kind in FAULTS if not FAULTS[kind].whole])
def test_random_draws_fill_every_dimension_of_the_box(kind: str) -> None:
    box = fault(kind, 0.4).parameters
    assert isinstance(box, Box)
    draws = box.draw(20_000, np.random.default_rng(0)).astype(np.float64)
    width = box.high - box.low
    assert draws.shape == (20_000, box.size)
    assert draws.min() >= np.float32(box.low)
    assert draws.max() <= np.float32(box.high)
    np.testing.assert_allclose(draws.mean(axis=0), (box.low + box.high) / 2, atol=0.01 * width)
    np.testing.assert_allclose(draws.std(axis=0), width / np.sqrt(12), rtol=0.02)
    np.testing.assert_allclose(np.corrcoef(draws.T), np.eye(box.size), atol=0.03)


@pytest.mark.parametrize("kind", [kind for kind in FAULTS if FAULTS[kind].whole])
def test_random_draws_take_the_members_of_a_finite_set_equally_often(kind: str) -> None:
    members = fault(kind, 1 if kind == "dead_joint" else 3).parameters
    assert isinstance(members, FiniteSet)
    draws, counts = np.unique(members.draw(20_000, np.random.default_rng(0)), axis=0, return_counts=True)
    np.testing.assert_array_equal(draws, np.unique(members.members, axis=0))
    np.testing.assert_allclose(counts / 20_000, 1 / len(draws), atol=0.015)


def test_a_fault_needs_its_magnitude() -> None:
    with pytest.raises(ValueError, match="a bias fault needs its magnitude"):
        make_fault(FaultSettings(type="bias"), BODY)
