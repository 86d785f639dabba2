import numpy as np
import pytest

from env_runners import BACKENDS, collect, env_runner


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
