from typing import Any

import numpy as np
import pytest
import torch

from afrl_ray.algorithms.env_runner import NUM_FAULT_DRAWS_LIFETIME
from afrl_ray.config import FAULTS, EnvironmentSettings, FaultSettings, PGDSettings
from afrl_ray.envs import make_vector_env
from afrl_ray.networks import Critic, CriticGradients, ObservationNormalizer
from afrl_ray.perturbations import Body, ConstantSource, PerturbationSnapshot, RunningEpisodes, make_fault
from afrl_ray.seeding import derive_seed
from env_runners import BACKENDS, FAULT, MULTIPLICATIVE, SEED, Recorder, Rows, collect, collect_deltas, env_runner


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("environment_id", ["Hopper-v4", "HalfCheetah-v4"])
def test_the_intended_action_is_stored_and_the_executed_one_has_the_consequences(
    backend: str, environment_id: str
) -> None:
    """The same seeds in a plain environment, stepped with the executed actions, give the stored rewards and states."""
    fault = np.tile(FAULT, 2)[:, : 3 if environment_id == "Hopper-v4" else 6]
    source = ConstantSource(PerturbationSnapshot("adversarial", q=1.0, fault=MULTIPLICATIVE, bank=fault))
    environment = {"id": environment_id, "backend": backend, "max_episode_steps": 12}
    with env_runner(num_envs=2, source=source, exploration_noise=0.5, **environment) as runner:
        rows = collect(runner, 12)
    seeds = [derive_seed(SEED, "environment", 0, 0, index) for index in range(2)]
    plain = make_vector_env(EnvironmentSettings(**environment), seeds)
    np.testing.assert_array_equal(plain.reset(), rows.observations[0])
    low, high = plain.action_space.low, plain.action_space.high
    clipped = 0
    for step in range(12):
        intended = rows.actions[step]
        executed = np.clip(intended + fault * intended, low, high)
        assert not np.array_equal(executed, intended)
        clipped += int((np.abs(executed) == 1).sum())
        result = plain.step(executed)
        np.testing.assert_array_equal(result.rewards, rows.rewards[step])
        np.testing.assert_array_equal(result.observations, rows.next_observations[step])
    assert clipped  # the bounds were felt
    plain.close()


def step_by_step(rows: Rows, fault: FaultSettings, environment: dict[str, Any], deltas: np.ndarray) -> None:
    """Play the rows' first episodes again in a plain environment, with the fault applied from outside."""
    count = rows.actions.shape[1]
    seeds = [derive_seed(SEED, "environment", 0, 0, index) for index in range(count)]
    plain = make_vector_env(EnvironmentSettings(**environment), seeds)
    body = Body(plain.action_space.low, plain.action_space.high, np.ones(plain.observation_space.shape, np.float32))
    noise_seeds = np.random.default_rng(derive_seed(SEED, "faults", 0, 0)).integers(2**31, size=count)
    episodes = RunningEpisodes(make_fault(fault, body), deltas, noise_seeds, plain.reset())
    for step in range(len(rows.actions)):
        np.testing.assert_array_equal(episodes.observations, rows.observations[step])
        result = plain.step(episodes.executed(rows.actions[step]))
        np.testing.assert_array_equal(result.rewards, rows.rewards[step])
        np.testing.assert_array_equal(episodes.observe(result.observations), rows.next_observations[step])
    plain.close()


@pytest.mark.parametrize("kind", FAULTS)
def test_under_every_kind_of_fault_intended_actions_and_what_the_policy_saw_are_stored(kind: str) -> None:
    fault = FaultSettings(type=kind, magnitude=2 if FAULTS[kind].whole else 0.4)
    environment = {"id": "Hopper-v4", "max_episode_steps": 10}
    size = 11 if kind == "observation_noise" else 1 if kind == "delay" else 3
    bank = {"dead_joint": np.array([[-1, -1, 0]]), "delay": np.array([[2]])}.get(kind, np.full((1, size), 0.3))
    bank = bank.astype(np.float32)
    source = ConstantSource(PerturbationSnapshot("adversarial", q=1.0, fault=fault, bank=bank))
    with env_runner(num_envs=3, source=source, **environment) as runner:
        recorder = Recorder(runner.env)
        runner.env = recorder  # type: ignore[assignment]
        rows = collect(runner, 10)
        later = collect(runner, 10)
        seen = runner.module.policy.act(rows.observations.reshape(30, -1)).reshape(rows.actions.shape)
    assert np.abs(rows.actions - seen).max() < 0.6  # the policy's own, and exploration noise
    executed = np.stack(recorder.executed[:10])
    assert np.array_equal(executed, rows.actions) == (kind == "observation_noise")
    step_by_step(rows, fault, environment, np.repeat(bank, 3, axis=0))
    assert later.begins[0].all()  # new episodes, with new noise
    if kind == "action_noise":
        noise = np.stack(recorder.executed) - np.concatenate([rows.actions, later.actions])
        assert not np.array_equal(noise[:10], noise[10:])


def test_a_delayed_action_does_not_reach_into_the_next_episode() -> None:
    fault = FaultSettings(type="delay", magnitude=2)
    bank = np.array([[2]], np.float32)
    source = ConstantSource(PerturbationSnapshot("adversarial", q=1.0, fault=fault, bank=bank))
    with env_runner(num_envs=1, source=source, max_episode_steps=5) as runner:
        runner.env = recorder = Recorder(runner.env)  # type: ignore[assignment]
        rows = collect(runner, 15)
    executed = np.stack(recorder.executed).reshape(3, 5, 3)
    assert not executed[:, :2].any()
    np.testing.assert_array_equal(executed[:, 2:], rows.actions.reshape(3, 5, 3)[:, :3])


def pgd_source(q: float, critic: CriticGradients | None) -> ConstantSource:
    return ConstantSource(PerturbationSnapshot("pgd", q, MULTIPLICATIVE, None, PGDSettings(steps=3), critic))


def test_pgd_lowers_the_critics_value_of_perturbed_episodes_alone() -> None:
    torch.manual_seed(1)
    normalizer, critic = ObservationNormalizer(11), Critic(11, 3, (32, 32))
    source = pgd_source(0.5, CriticGradients(normalizer, critic))
    with env_runner(num_envs=8, source=source, max_episode_steps=6) as runner:
        runner.env = recorder = Recorder(runner.env)  # type: ignore[assignment]
        rows = collect(runner, 6, explore=False)
    executed = np.stack(recorder.executed)  # (steps, num_envs, A)
    deltas = executed / rows.actions - 1
    attacked = (np.abs(deltas) > 1e-3).any(axis=(0, 2))
    assert 0 < attacked.sum() < 8
    assert np.abs(deltas).max() <= 0.3 + 1e-3
    assert len(np.unique(deltas[:, attacked].round(2).reshape(-1, 3), axis=0)) > 1

    def value(actions: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return critic(torch.from_numpy(rows.observations), torch.from_numpy(actions)).numpy()

    assert (value(executed) < value(rows.actions))[:, attacked].mean() > 0.95
    np.testing.assert_array_equal(executed[:, ~attacked], rows.actions[:, ~attacked])


def test_pgd_on_the_current_critic_needs_the_critics_in_the_env_runner() -> None:
    with (
        env_runner(source=pgd_source(1.0, None)) as runner,
        pytest.raises(ValueError, match="pgd needs a critic"),
    ):
        collect(runner, 1)
    with env_runner(source=pgd_source(1.0, None), acting_critics=True, max_episode_steps=4) as runner:
        runner.env = recorder = Recorder(runner.env)  # type: ignore[assignment]
        rows = collect(runner, 4, explore=False)
        with torch.no_grad():  # a linear critic, whose gradient with respect to the action is (1, −1, 0)
            for parameter in runner.module.critics[0].parameters():
                parameter.zero_()
            first, second, last = (layer for layer in runner.module.critics[0].layers if hasattr(layer, "weight"))
            first.bias[0], second.bias[0], last.weight[0, 0] = 10.0, 0.0, 1.0
            first.weight[0, 11:], second.weight[0, 0] = torch.tensor([1.0, -1.0, 0.0]), 1.0
        later = collect(runner, 4, explore=False)
    executed = np.stack(recorder.executed)[4:]
    deltas = executed / later.actions - 1
    expected = -0.3 * np.sign(later.actions) * [1, -1, 0]
    np.testing.assert_allclose(deltas, expected, atol=1e-3)
    assert not np.allclose(np.stack(recorder.executed)[:4] / rows.actions - 1, expected, atol=0.1)


def test_a_fault_is_fixed_for_an_episode_and_drawn_anew_for_the_next() -> None:
    source = ConstantSource(PerturbationSnapshot("random", q=1.0, fault=MULTIPLICATIVE, bank=None))
    with env_runner(num_envs=3, source=source, max_episode_steps=5) as runner:
        deltas = collect_deltas(runner, 20)
    episodes = deltas.reshape(4, 5, 3, 3)
    np.testing.assert_allclose(episodes, np.broadcast_to(episodes[:, :1], episodes.shape), atol=1e-3)
    firsts = episodes[:, 0].reshape(12, 3)
    assert len(np.unique(firsts.round(3), axis=0)) == 12
    assert np.abs(firsts).max() <= 0.3 + 1e-3


def test_the_right_share_of_episodes_is_perturbed() -> None:
    source = ConstantSource(PerturbationSnapshot("adversarial", q=0.3, fault=MULTIPLICATIVE, bank=FAULT))
    with env_runner(num_envs=16, source=source, max_episode_steps=1) as runner:
        deltas = collect_deltas(runner, 100).reshape(1600, 3)
    perturbed = np.abs(deltas).max(axis=1) > 0.1
    np.testing.assert_allclose(deltas[perturbed], np.broadcast_to(FAULT, (perturbed.sum(), 3)), atol=1e-2)
    np.testing.assert_allclose(deltas[~perturbed], 0.0, atol=1e-2)
    assert perturbed.mean() == pytest.approx(0.3, abs=4 * np.sqrt(0.3 * 0.7 / 1600))


def test_without_a_source_the_executed_action_is_the_intended_one() -> None:
    with env_runner(num_envs=2, max_episode_steps=3) as runner:
        np.testing.assert_array_equal(collect_deltas(runner, 9), 0.0)


def test_the_source_is_asked_once_per_call_and_holds_for_episodes_that_begin_later() -> None:
    class Alternating:
        asked = 0

        def snapshot(self) -> PerturbationSnapshot:
            self.asked += 1
            return PerturbationSnapshot("adversarial", q=float(self.asked % 2 == 0), fault=MULTIPLICATIVE, bank=FAULT)

    with env_runner(num_envs=1, source=Alternating(), max_episode_steps=4) as runner:
        first, second = collect_deltas(runner, 6), collect_deltas(runner, 6)
        assert runner.config.perturbation_source.asked == 2
    perturbed = np.abs(np.concatenate([first, second])[:, 0]).max(axis=1) > 0.1
    # q is 0 when episodes 1 and 2 begin; q is 1 from step 6 on, which the episode that begins at step 8 feels
    assert perturbed.tolist() == [False] * 8 + [True] * 4


@pytest.mark.parametrize(("q", "drawn"), [(0.0, False), (1.0, True)])
def test_episodes_that_begin_with_a_fault_are_counted(q: float, drawn: bool) -> None:
    source = ConstantSource(PerturbationSnapshot("adversarial", q=q, fault=MULTIPLICATIVE, bank=FAULT))
    with env_runner(num_envs=2, source=source, max_episode_steps=5) as runner:
        begins = collect(runner, 12).begins
        counted = runner.metrics.peek(NUM_FAULT_DRAWS_LIFETIME)
    begun = int(begins.sum())  # an episode that ended with the last step would have begun anew
    assert counted == (pytest.approx(begun, abs=2) if drawn else 0)
    assert begun >= 6
