"""Episodes under faults begin, end and change places without disturbing each other."""

import numpy as np
import pytest

from afrl_ray.config import FAULTS, FaultSettings
from afrl_ray.perturbations import Body, Fault, RunningEpisodes, make_fault

BODY = Body(-np.ones(2, np.float32), np.ones(2, np.float32), np.ones(3, np.float32))
SEEDS = np.array([5, 6, 7, 8, 9])
STEPS = 120  # more than one block of noise


def fault(kind: str) -> Fault:
    return make_fault(FaultSettings(type=kind, magnitude=FAULTS[kind].default or 0.3), BODY)


def inputs(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """What episode `seed` gives at each step: intended actions (STEPS, A), observations (STEPS + 1, O)."""
    generator = np.random.default_rng(seed)
    return (
        generator.uniform(-1, 1, (STEPS, 2)).astype(np.float32),
        generator.normal(size=(STEPS + 1, 3)).astype(np.float32),
    )


def begin(one: Fault, parameters: np.ndarray, seeds: np.ndarray) -> RunningEpisodes:
    return RunningEpisodes(one, parameters, seeds, np.stack([inputs(seed)[1][0] for seed in seeds]))


def alone(one: Fault, parameters: np.ndarray, seed: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """What one episode executes and sees, with nobody beside it."""
    actions, observations = inputs(seed)
    running = begin(one, parameters[None], np.array([seed]))
    executed, seen = [], [running.observations[0]]
    for step in range(STEPS):
        executed.append(running.executed(actions[None, step])[0])
        seen.append(running.observe(observations[None, step + 1])[0])
    return executed, seen


@pytest.mark.parametrize("kind", FAULTS)
def test_what_an_episode_suffers_does_not_depend_on_those_beside_it(kind: str) -> None:
    """Episodes that begin at different times, end, and move up in the batch."""
    one = fault(kind)
    parameters = one.parameters.draw(len(SEEDS), np.random.default_rng(1))
    expected = [alone(one, own, seed) for own, seed in zip(parameters, SEEDS, strict=True)]
    running = begin(one, parameters[:4], SEEDS[:4])
    rows, ages = [0, 1, 2, 3], [0, 0, 0, 0]
    for step in range(STEPS - 50):
        if step == 10:  # episode 4 takes the place of episode 1
            running.replace(np.array([1], np.int32), begin(one, parameters[4:], SEEDS[4:]))
            rows[1], ages[1] = 4, 0
        if step == 25:  # episodes 0 and 2 end, and nobody takes their places
            running.keep(np.array([False, True, False, True]))
            rows, ages = rows[1::2], ages[1::2]
        for place, (row, age) in enumerate(zip(rows, ages, strict=True)):
            np.testing.assert_array_equal(running.observations[place], expected[row][1][age])
        actions = np.stack([inputs(SEEDS[row])[0][age] for row, age in zip(rows, ages, strict=True)])
        executed = running.executed(actions)
        for place, (row, age) in enumerate(zip(rows, ages, strict=True)):
            np.testing.assert_array_equal(executed[place], expected[row][0][age])
        ages = [age + 1 for age in ages]
        running.observe(np.stack([inputs(SEEDS[row])[1][age] for row, age in zip(rows, ages, strict=True)]))
    assert len(running) == 2


@pytest.mark.parametrize("kind", ["action_noise", "observation_noise"])
def test_noise_is_the_seeds_alone(kind: str) -> None:
    one = fault(kind)
    parameters = np.tile(one.parameters.draw(1, np.random.default_rng(0)), (3, 1))
    running = RunningEpisodes(one, parameters, np.array([5, 5, 6]), np.zeros((3, 3), np.float32))
    executed = np.concatenate([running.executed(np.zeros((3, 2), np.float32)), running.observations], axis=1)
    np.testing.assert_array_equal(executed[0], executed[1])
    assert not np.array_equal(executed[0], executed[2])


def test_beginning_and_replacing_leave_the_callers_arrays_alone() -> None:
    parameters, observations = np.zeros((2, 2), np.float32), np.zeros((2, 3), np.float32)
    running = RunningEpisodes(fault("bias"), parameters, SEEDS[:2], observations)
    running.replace(np.array([0]), RunningEpisodes(fault("bias"), parameters[:1] + 1, SEEDS[2:3], observations[:1] + 1))
    assert not parameters.any()
    assert not observations.any()
    np.testing.assert_array_equal(running.observations[:, 0], [1, 0])


@pytest.mark.parametrize("kind", FAULTS)
def test_parameters_of_another_robot_or_fault_are_refused(kind: str) -> None:
    size = fault(kind).parameters.size
    with pytest.raises(ValueError, match=rf"θ has {size + 1} numbers, a {kind} fault of this robot takes {size}"):
        RunningEpisodes(fault(kind), np.zeros((1, size + 1), np.float32), SEEDS[:1], np.zeros((1, 3), np.float32))
