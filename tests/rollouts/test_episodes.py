from collections.abc import Sequence

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box

from afrl_ray.config import FAULTS, EnvironmentSettings, FaultSettings, PGDSettings
from afrl_ray.networks import Critic, CriticGradients, Policy
from afrl_ray.perturbations import Body, Fault, StepwisePGD, make_fault
from afrl_ray.rollouts import Candidate, EpisodePool, play_candidates, run_episodes
from afrl_ray.rollouts.episodes import single_torch_thread


class Counter(gymnasium.Env[np.ndarray, np.ndarray]):
    """Counts its own steps; pays the executed action; ends after 3 + (a draw of 0 … 3) steps, known from the start."""

    observation_space = Box(-100, 100, (2,), np.float32)
    action_space = Box(-1, 1, (1,), np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, object] | None = None):  # type: ignore[no-untyped-def]
        super().reset(seed=seed, options=options)
        self.count = 0
        self.last = 3 + int(self.np_random.integers(4))
        return self._observation(), {}

    def step(self, action):  # type: ignore[no-untyped-def]
        self.count += 1
        return self._observation(), float(action[0]), self.count >= self.last, False, {}

    def _observation(self) -> np.ndarray:
        return np.array([self.count, self.last], np.float32)


class Constant:
    """Always asks for the same action, and remembers the sizes of its batches."""

    def __init__(self, action: float) -> None:
        self.action = action
        self.batches: list[int] = []

    def act(self, observations: np.ndarray) -> np.ndarray:
        self.batches.append(len(observations))
        return np.full((len(observations), 1), self.action, np.float32)


@pytest.fixture(autouse=True)
def _register() -> None:
    if "AfrlCounter-v0" not in gymnasium.registry:
        gymnasium.register("AfrlCounter-v0", entry_point=Counter)


COUNTER = EnvironmentSettings(id="AfrlCounter-v0", backend="gymnasium")
HOPPER = EnvironmentSettings(id="Hopper-v4")


def lengths_of(seeds: Sequence[int]) -> list[int]:
    return [3 + int(np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed))).integers(4)) for seed in seeds]


def small_policy() -> Policy:
    torch.manual_seed(3)
    return Policy(11, -np.ones(3), np.ones(3), (32, 32))


def test_returns_and_lengths_by_hand() -> None:
    seeds = [0, 1, 2, 3, 4]
    expected = lengths_of(seeds)
    assert len(set(expected)) > 1
    episodes = run_episodes(Constant(0.5), COUNTER, seeds, np.array([[0.0], [0.5], [-1.0], [3.0], [0.2]]))
    assert list(episodes.lengths) == expected
    # 0.5 + 0.5 δ a step, clipped to the action space
    np.testing.assert_allclose(episodes.returns, np.array([0.5, 0.75, 0.0, 1.0, 0.6]) * expected, rtol=1e-6)


def test_an_episode_is_cut_off_at_the_step_limit() -> None:
    settings = EnvironmentSettings(id="AfrlCounter-v0", backend="gymnasium", max_episode_steps=2)
    episodes = run_episodes(Constant(1.0), settings, [0, 1], np.zeros((2, 1)))
    assert list(episodes.lengths) == [2, 2]
    assert list(episodes.returns) == [2.0, 2.0]


@pytest.mark.parametrize("max_parallel", [1, 2, 3, 64])
def test_no_job_is_lost_however_small_the_pool(max_parallel: int) -> None:
    seeds = list(range(11))
    episodes = run_episodes(Constant(1.0), COUNTER, seeds, np.zeros((11, 1)), max_parallel)
    assert list(episodes.lengths) == lengths_of(seeds)


def test_finished_environments_are_not_stepped() -> None:
    seeds = list(range(6))
    policy = Constant(1.0)
    pool = EpisodePool(policy, COUNTER)
    pool.submit(seeds, np.zeros((6, 1)))
    steps = 0
    while pool.step():
        steps += 1
    assert steps == max(lengths_of(seeds))
    assert pool.lengths.sum() == sum(lengths_of(seeds))
    assert set(policy.batches) == {16}  # padded: a row's last bits must not depend on how many rows there are


def test_places_are_refilled_while_others_still_run() -> None:
    lengths = lengths_of(range(40))
    long = lengths.index(6)
    short = [seed for seed in range(40) if lengths[seed] == 3][:6]
    pool = EpisodePool(Constant(1.0), COUNTER, max_parallel=4)
    pool.submit([long, *short], np.zeros((7, 1)))
    steps = 0
    while pool.step():
        steps += 1
    assert steps == 6  # not 6 + 3


def test_cancelled_jobs_keep_what_they_have() -> None:
    pool = EpisodePool(Constant(1.0), COUNTER, max_parallel=2)
    running = pool.submit([0, 1], np.zeros((2, 1)))
    queued = pool.submit([2, 3], np.zeros((2, 1)))
    assert [*running, *queued] == [0, 1, 2, 3]
    pool.step()
    pool.cancel([0, 2])
    while pool.step():
        pass
    assert list(pool.lengths) == [1, lengths_of([1])[0], 0, lengths_of([3])[0]]
    assert pool.finished.all()


def test_groups_start_together_even_when_they_wait_or_are_too_large() -> None:
    pool = EpisodePool(Constant(1.0), COUNTER, max_parallel=4)
    groups = [pool.submit(range(size), np.zeros((size, 1)), together=True) for size in (3, 3, 6)]
    while pool.step():
        for group in groups:
            assert len(set(pool.lengths[group][~pool.finished[group]])) <= 1
    assert list(pool.lengths) == lengths_of([*range(3), *range(3), *range(6)])


def test_mistakes() -> None:
    with pytest.raises(ValueError, match=r"need seeds \(N,\) and parameters \(N, P\)"):
        run_episodes(Constant(1.0), COUNTER, [0, 1], np.zeros((3, 1)))
    with pytest.raises(ValueError, match="θ has 2 numbers, a multiplicative fault of this robot takes 1"):
        run_episodes(Constant(1.0), COUNTER, [0], np.zeros((1, 2)))
    with pytest.raises(ValueError, match="max_parallel"):
        EpisodePool(Constant(1.0), COUNTER, 0)


def test_torch_threads_are_given_back() -> None:
    before = torch.get_num_threads()
    with single_torch_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before


def test_rows_of_the_policy_do_not_depend_on_the_padded_batch() -> None:
    """What the batch-independence of episodes rests on, for this machine's matrix product."""
    policy = Policy(17, -np.ones(6), np.ones(6), (256, 256))
    observations = np.random.default_rng(0).normal(size=(64, 17)).astype(np.float32)
    with single_torch_thread():
        reference = policy.act(observations)
        for rows in range(16, 64, 16):
            np.testing.assert_array_equal(policy.act(observations[:rows]), reference[:rows])


@pytest.mark.parametrize("kind", [*FAULTS, "pgd"])
def test_under_every_fault_an_episode_depends_on_policy_seed_and_parameters_alone(kind: str) -> None:
    """However many episodes run at a time, when each of them begins, and which end before it."""
    policy, critic = small_policy(), Critic(11, 3, (32, 32))
    settings, body = EnvironmentSettings(id="Hopper-v4", max_episode_steps=60), Body.of(policy)
    if kind == "pgd":
        fault: Fault = StepwisePGD(0.3, body, PGDSettings(), CriticGradients(policy.normalizer, critic))
        parameters = np.full((11, 3), np.nan, np.float32)
    else:
        fault = make_fault(FaultSettings(type=kind, magnitude=1 if FAULTS[kind].whole else 1.0), body)
        parameters = fault.parameters.draw(11, np.random.default_rng(1))
        if kind == "saturation":
            parameters *= 0.05  # this policy never asks for much
    parameters[3] = fault.neutral
    seeds = np.arange(11)
    together = run_episodes(policy, settings, seeds, parameters, fault=fault)
    order = np.random.default_rng(0).permutation(11)
    shuffled = run_episodes(policy, settings, seeds[order], parameters[order], max_parallel=3, fault=fault)
    np.testing.assert_array_equal(shuffled.returns, together.returns[order])
    np.testing.assert_array_equal(shuffled.lengths, together.lengths[order])
    candidates = [Candidate(parameters[index], seeds[index : index + 1]) for index in range(4)]
    for index, played in enumerate(play_candidates(policy, settings, candidates, fault=fault)):
        assert played.returns[0] == together.returns[index]
    healthy = run_episodes(policy, settings, seeds, np.zeros((11, 3)))
    assert healthy.returns[3] == together.returns[3]
    assert (healthy.returns != together.returns).sum() >= 8


def test_a_simulated_episode_depends_on_policy_seed_and_delta_alone() -> None:
    policy = small_policy()
    generator = np.random.default_rng(0)
    seeds, parameters = np.arange(13), generator.uniform(-0.3, 0.3, (13, 3)).astype(np.float32)
    together = run_episodes(policy, HOPPER, seeds, parameters)
    order = generator.permutation(13)
    shuffled = run_episodes(policy, HOPPER, seeds[order], parameters[order], max_parallel=3)
    np.testing.assert_array_equal(shuffled.returns, together.returns[order])
    np.testing.assert_array_equal(shuffled.lengths, together.lengths[order])
    alone = run_episodes(policy, HOPPER, seeds[5:6], parameters[5:6])
    assert alone.returns[0] == together.returns[5]
    assert len(set(together.returns)) == 13
