import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from afrl_ray.algorithms import TD3Config
from afrl_ray.algorithms.env_runner import NUM_FAULT_DRAWS_LIFETIME, PerturbedEnvRunner
from afrl_ray.config import FAULTS, EnvironmentSettings, FaultSettings, PGDSettings, TD3Settings
from afrl_ray.envs import envpool_env, make_vector_env
from afrl_ray.networks import Critic, CriticGradients, ObservationNormalizer
from afrl_ray.perturbations import Body, ConstantSource, PerturbationSnapshot, RunningEpisodes, make_fault
from afrl_ray.seeding import derive_seed

SEED = 5
NEEDS_ENVPOOL = pytest.mark.skipif(not envpool_env.is_available("Hopper-v4"), reason="no EnvPool on this platform")
BACKENDS = (pytest.param("envpool", marks=NEEDS_ENVPOOL), "gymnasium")
MULTIPLICATIVE = FaultSettings(magnitude=0.3)
FAULT = np.array([[0.3, -0.3, 0.2]], dtype=np.float32)
ALWAYS_FAULT = ConstantSource(PerturbationSnapshot("adversarial", q=1.0, fault=MULTIPLICATIVE, bank=FAULT))


@contextmanager
def env_runner(
    *,
    num_envs: int = 1,
    source: Any = None,
    worker_index: int = 0,
    exploration_noise: float = 0.1,
    acting_critics: bool = False,
    **environment: Any,
) -> Iterator[PerturbedEnvRunner]:
    """An env runner of Hopper, in this process and without Ray, with the weights of seed 0."""
    torch.manual_seed(0)
    config = (
        TD3Config()
        .simulation(EnvironmentSettings(**{"id": "Hopper-v4", **environment}))
        .env_runners(num_envs_per_env_runner=num_envs)
        .training(
            settings=TD3Settings(hidden_sizes=(8, 8), exploration_noise=exploration_noise),
            perturbation_source=source,
            acting_critics=acting_critics,
        )
        .debugging(seed=SEED)
    )
    runner = PerturbedEnvRunner(config=config, worker_index=worker_index)
    yield runner
    runner.stop()


@dataclass
class Rows:
    """What was collected, by time and environment."""

    observations: np.ndarray  # (steps, num_envs, O)
    actions: np.ndarray  # (steps, num_envs, A)
    rewards: np.ndarray  # (steps, num_envs)
    next_observations: np.ndarray  # (steps, num_envs, O)
    terminations: np.ndarray  # (steps, num_envs)

    @property
    def begins(self) -> np.ndarray:
        """(steps, num_envs), whether the observation is not the one that the row before reached."""
        same = (self.observations[1:] == self.next_observations[:-1]).all(axis=-1)
        return np.concatenate([np.ones((1, same.shape[1]), bool), ~same])


def collect(runner: PerturbedEnvRunner, steps: int, **options: Any) -> Rows:
    assert runner.env is not None
    [fragment] = runner.sample(num_timesteps=steps * runner.env.num_envs, **options)
    columns = runner._layout.split(torch.from_numpy(fragment.rows).view(steps, runner.env.num_envs, -1))
    return Rows(*(column.numpy() for column in columns))


# ---- which rows there are ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
def test_no_row_belongs_to_two_episodes_and_truncations_are_no_terminations(backend: str) -> None:
    with env_runner(num_envs=3, max_episode_steps=5, backend=backend) as runner:
        rows = collect(runner, 23)
        metrics = runner.get_metrics()
    expected = np.zeros((23, 3), bool)
    expected[::5] = True  # each episode gives five rows, and the reset between two episodes gives none
    np.testing.assert_array_equal(rows.begins, expected)
    assert not rows.terminations.any()
    heights = rows.observations[rows.begins][:, 0]
    np.testing.assert_allclose(heights, 1.25, atol=0.006)  # Hopper's initial height and its noise
    assert metrics["num_episodes"].peek() == 12
    assert metrics["episode_len_mean"].peek() == 5


@pytest.mark.parametrize("backend", BACKENDS)
def test_terminations_are_where_the_robot_falls(backend: str) -> None:
    with env_runner(num_envs=2, backend=backend) as runner:
        rows = collect(runner, 200, random_actions=True)
        metrics = runner.get_metrics()
    begins_next = rows.begins[1:]
    np.testing.assert_array_equal(begins_next, rows.terminations[:-1] == 1)
    assert begins_next.sum() >= 4
    healthy = rows.next_observations[..., 0] > 0.7  # Hopper's own limits on height and angle
    healthy &= np.abs(rows.next_observations[..., 1]) < 0.2
    np.testing.assert_array_equal(rows.terminations == 1, ~healthy)
    assert metrics["num_episodes"].peek() == rows.terminations.sum()


def test_episodes_go_on_from_one_call_to_the_next() -> None:
    with env_runner(num_envs=2, max_episode_steps=7) as runner:
        first, second = collect(runner, 5), collect(runner, 5)
    np.testing.assert_array_equal(first.next_observations[-1], second.observations[0])
    joined = np.concatenate([first.begins, second.begins])
    assert joined[7].all()


def test_at_least_the_steps_asked_for() -> None:
    with env_runner(num_envs=4) as runner:
        assert runner.sample(num_timesteps=10)[0].env_steps() == 12
        assert runner.sample()[0].env_steps() == 4 * runner.config.rollout_fragment_length


def test_episode_returns_are_sums_of_rewards() -> None:
    with env_runner(num_envs=1, max_episode_steps=6) as runner:
        rows = collect(runner, 12)
        finished = list(runner._finished)
        metrics = runner.get_metrics()
    returns = rows.rewards[:, 0].reshape(2, 6).sum(axis=1)
    assert [episode[0] for episode in finished] == pytest.approx(returns.tolist(), rel=1e-5)
    assert metrics["episode_return_mean"].peek() == pytest.approx(returns.mean(), rel=1e-5)


def test_metrics_count_steps_once() -> None:
    with env_runner(num_envs=2, max_episode_steps=6) as runner:
        counts = []
        for steps in (4, 6):
            collect(runner, steps)
            metrics = runner.get_metrics()
            counts.append((metrics["num_env_steps_sampled"].peek(), metrics["num_episodes"].peek()))
        assert counts == [(8, 0), (12, 2)]
        assert runner.num_env_steps_sampled_lifetime == 20


# ---- actions -------------------------------------------------------------------------------------------------------


def test_without_exploration_actions_are_the_policys() -> None:
    with env_runner(num_envs=2) as runner:
        rows = collect(runner, 10, explore=False)
        expected = runner.module.policy.act(rows.observations.reshape(20, -1)).reshape(10, 2, -1)
    np.testing.assert_allclose(rows.actions, expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(("environment_id", "half_range"), [("Hopper-v4", 1.0), ("Pendulum-v1", 2.0)])
def test_exploration_noise_is_in_units_of_half_the_action_range(environment_id: str, half_range: float) -> None:
    with env_runner(num_envs=4, exploration_noise=0.1, id=environment_id, max_episode_steps=50) as runner:
        rows = collect(runner, 300)
        policy_actions = runner.module.policy.act(rows.observations.reshape(1200, -1)).reshape(rows.actions.shape)
    noise = rows.actions - policy_actions
    unclipped = np.abs(rows.actions) < half_range
    assert noise[unclipped].std() == pytest.approx(0.1 * half_range, rel=0.1)
    assert np.abs(rows.actions).max() <= half_range


def test_noise_never_leaves_the_action_range() -> None:
    with env_runner(num_envs=4, exploration_noise=5.0) as runner:
        actions = collect(runner, 50).actions
    assert (np.abs(actions) <= 1).all()
    assert (np.abs(actions) == 1).any()


@pytest.mark.parametrize(("environment_id", "half_range"), [("Hopper-v4", 1.0), ("Pendulum-v1", 2.0)])
def test_random_actions_are_uniform_in_the_action_range(environment_id: str, half_range: float) -> None:
    with env_runner(num_envs=4, id=environment_id) as runner:
        actions = collect(runner, 300, random_actions=True).actions
    assert np.abs(actions).max() <= half_range
    assert actions.std() == pytest.approx(half_range / np.sqrt(3), rel=0.05)
    assert actions.mean() == pytest.approx(0.0, abs=0.1 * half_range)


# ---- faults --------------------------------------------------------------------------------------------------------


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


class Recorder:
    """Stands before an environment and notes what is executed."""

    def __init__(self, env: Any) -> None:
        self._env = env
        self.executed: list[np.ndarray] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._env, name)

    def step(self, actions: np.ndarray, *arguments: Any) -> Any:
        self.executed.append(actions.copy())
        return self._env.step(actions, *arguments)


def collect_deltas(runner: PerturbedEnvRunner, steps: int) -> np.ndarray:
    """The δ of every row, (steps, num_envs, A), as the executed actions tell."""
    runner.env = recorder = Recorder(runner.env)  # type: ignore[assignment]
    rows = collect(runner, steps, explore=False)
    executed = np.stack(recorder.executed)
    assert np.abs(executed).max() < 1  # nothing was clipped
    return executed / rows.actions - 1.0


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


# ---- seeds and state -----------------------------------------------------------------------------------------------


def test_one_seed_gives_the_same_rows() -> None:
    collected = []
    for _ in range(2):
        with env_runner(num_envs=2, source=ALWAYS_FAULT, max_episode_steps=5) as runner:
            collected.append(collect(runner, 20))
    np.testing.assert_array_equal(collected[0].next_observations, collected[1].next_observations)


def test_env_runners_have_different_noise_and_different_environments() -> None:
    collected = []
    for worker_index in (1, 2):
        with env_runner(worker_index=worker_index) as runner:
            collected.append(collect(runner, 5))
    assert not np.array_equal(collected[0].observations[0], collected[1].observations[0])
    assert not np.array_equal(collected[0].actions[0], collected[1].actions[0])


def test_after_a_checkpoint_a_restored_runner_takes_the_same_steps_and_new_ones() -> None:
    with env_runner(num_envs=2, source=ALWAYS_FAULT, max_episode_steps=5) as runner:
        before = collect(runner, 8)
        state = runner.get_state()
        uninterrupted = collect(runner, 8)
    with env_runner(num_envs=2, source=ALWAYS_FAULT, max_episode_steps=5) as runner:
        runner.set_state(state)
        assert runner.num_env_steps_sampled_lifetime == 16
        restored = collect(runner, 8)
    for name in vars(before):
        np.testing.assert_array_equal(getattr(uninterrupted, name), getattr(restored, name))
    assert uninterrupted.begins[0].all()
    assert not np.array_equal(uninterrupted.observations[0], before.observations[0])
    assert not np.array_equal(uninterrupted.actions[0], before.actions[0])


def test_reading_the_weights_disturbs_no_episode() -> None:
    with env_runner(max_episode_steps=50) as runner:
        first = collect(runner, 5)
        state = runner.get_state(components=["rl_module"])
        second = collect(runner, 5)
    assert "rl_module" in state
    np.testing.assert_array_equal(first.next_observations[-1], second.observations[0])


@pytest.mark.parametrize("number", [0, 1, 7])
def test_weights_are_taken_whatever_their_number(number: int) -> None:
    """After going back to an earlier checkpoint the learner's count of weights is lower than the env runner's."""
    with env_runner() as runner:
        weights = {name: torch.full_like(tensor, 0.5) for name, tensor in runner.module.state_dict().items()}
        runner.set_state({"rl_module": {"default_policy": runner.module.get_state()}, "weights_seq_no": 5})
        arrays = {name: tensor.numpy() for name, tensor in weights.items()}
        runner.set_state({"rl_module": {"default_policy": arrays}, "weights_seq_no": number})
        assert all((tensor == 0.5).all() for tensor in runner.module.state_dict().values())


# ---- in processes of their own -------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("ray_session")
def test_training_goes_on_when_an_env_runner_is_killed_and_gets_it_back(tmp_path: Path) -> None:
    algorithm = (
        TD3Config()
        .simulation(EnvironmentSettings(max_episode_steps=20))
        .training(settings=TD3Settings(hidden_sizes=(8, 8), batch_size=8), replay_capacity=10_000)
        .env_runners(num_env_runners=2, rollout_fragment_length=10)
        .reporting(min_time_s_per_iteration=0, min_sample_timesteps_per_iteration=0)
        .debugging(seed=SEED, log_level="ERROR")
        .build_algo()
    )

    def ask(question: Any) -> dict[int, Any]:
        """The remote env runners' answers, by worker."""
        answers = algorithm.env_runner_group.foreach_env_runner(
            lambda runner: (runner.worker_index, question(runner)), local_env_runner=False
        )
        return dict(answers)

    def generators() -> dict[int, Any]:
        return ask(lambda runner: runner._generator.bit_generator.state["state"]["state"])

    first_generators = generators()
    while algorithm.env_steps < 40:
        algorithm.train()
    algorithm.save_to_path(tmp_path / "checkpoint")
    saved_steps = algorithm.env_steps
    pids = ask(lambda _: os.getpid())
    assert len(pids) == 2

    os.kill(pids[1], signal.SIGKILL)
    end = time.monotonic() + 300
    while True:
        before = algorithm.env_steps
        algorithm.train()
        alive = ask(lambda _: os.getpid())
        if len(alive) == 2 and alive[1] != pids[1]:
            break
        assert algorithm.env_steps > before  # the other one went on
        assert time.monotonic() < end, "the env runner never came back"
        time.sleep(0.5)
    assert alive[2] == pids[2]
    # it does not repeat the episodes and the noise that it began with
    assert ask(lambda runner: runner.num_env_steps_sampled_lifetime)[1] > saved_steps
    restarted = generators()
    assert restarted[1] not in {*first_generators.values(), restarted[2]}
    before = algorithm.env_steps
    algorithm.train()
    assert algorithm.env_steps - before == 20  # both sample again
    weights = algorithm.evaluation_policy().fingerprint()
    assert set(ask(lambda runner: runner.module.policy.fingerprint()).values()) == {weights}

    # going back to a checkpoint gives them new seeds as well, and the checkpoint's weights
    algorithm.restore_from_path(str(tmp_path / "checkpoint"))
    assert ask(lambda runner: runner.num_env_steps_sampled_lifetime) == {1: saved_steps, 2: saved_steps}
    assert not set(generators().values()) & {*first_generators.values(), *restarted.values()}
    weights = algorithm.evaluation_policy().fingerprint()
    assert set(ask(lambda runner: runner.module.policy.fingerprint()).values()) == {weights}
    algorithm.train()
    assert algorithm.env_steps == saved_steps + 20
    algorithm.stop()


@pytest.mark.parametrize(("q", "drawn"), [(0.0, False), (1.0, True)])
def test_episodes_that_begin_with_a_fault_are_counted(q: float, drawn: bool) -> None:
    source = ConstantSource(PerturbationSnapshot("adversarial", q=q, fault=MULTIPLICATIVE, bank=FAULT))
    with env_runner(num_envs=2, source=source, max_episode_steps=5) as runner:
        begins = collect(runner, 12).begins
        counted = runner.metrics.peek(NUM_FAULT_DRAWS_LIFETIME)
    begun = int(begins.sum())  # an episode that ended with the last step would have begun anew
    assert counted == (pytest.approx(begun, abs=2) if drawn else 0)
    assert begun >= 6
