import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from afrl_ray.algorithms import TD3Config
from afrl_ray.config import EnvironmentSettings, TD3Settings
from env_runners import ALWAYS_FAULT, SEED, collect, env_runner


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
