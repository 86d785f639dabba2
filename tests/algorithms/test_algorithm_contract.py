"""What every algorithm promises; a new one joins by its line in the registry."""

from collections.abc import Iterable, Iterator

import numpy as np
import pytest
import torch
from ray.rllib.algorithms.algorithm import Algorithm
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.utils.metrics import ENV_RUNNER_RESULTS, LEARNER_RESULTS

from afrl_ray.config import FaultSettings
from afrl_ray.perturbations import ConstantSource, PerturbationSnapshot
from afrl_ray.seeding import derive_seed
from trainings import (
    ALGORITHMS,
    MEAN,
    OFFLINE_ROWS,
    STD,
    STEPS,
    Trained,
    build,
    different,
    everything,
    make_config,
    offline_columns,
    train,
)

ONLINE = [name for name, config in ALGORITHMS.items() if not config.learns_offline]
OFFLINE = [name for name, config in ALGORITHMS.items() if config.learns_offline]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600), pytest.mark.usefixtures("ray_session")]


@pytest.fixture(scope="module", params=ALGORITHMS)
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trained]:
    yield from train(request.param, tmp_path_factory.mktemp(request.param))


def test_it_trains_and_says_how(trained: Trained) -> None:
    learner = trained.result[LEARNER_RESULTS][DEFAULT_MODULE_ID]
    for metric in ("critic_loss", "actor_loss", "q_value_mean"):
        assert np.isfinite(learner[metric])
    assert trained.saved["updates"] == 2 * STEPS  # one update per environment step, or as many as were asked for
    assert not torch.equal(
        trained.saved["policy.actor.layers.0.weight"], trained.uninterrupted["policy.actor.layers.0.weight"]
    )


def test_steps_are_counted(trained: Trained) -> None:
    assert trained.algorithm.step_count == 4 * STEPS
    online = trained.name in ONLINE
    assert trained.algorithm.env_steps == (4 * STEPS if online else 0)
    if online:
        runners = trained.result[ENV_RUNNER_RESULTS]
        assert runners["num_env_steps_sampled_lifetime"] == 2 * STEPS
        assert runners["episode_len_mean"] <= 15
        assert np.isfinite(runners["episode_return_mean"])


def test_online_rows_join_the_offline_ones_and_offline_ones_stay_alone(trained: Trained) -> None:
    added = 2 * STEPS if trained.name in ONLINE else 0
    assert len(trained.saved["replay"]) == OFFLINE_ROWS + added
    learner = trained.algorithm.learner_group._learner
    expected = learner.layout.pack(offline_columns())
    np.testing.assert_array_equal(trained.saved["replay"][:OFFLINE_ROWS].numpy(), expected)


def test_a_checkpoint_makes_the_same_algorithm(trained: Trained) -> None:
    restored = Algorithm.from_checkpoint(str(trained.checkpoint))
    assert type(restored) is type(trained.algorithm)
    assert different(everything(restored), trained.saved) == []
    assert restored.step_count == 2 * STEPS
    restored.stop()


def test_networks_have_been_moved_by_training(trained: Trained) -> None:
    def networks(names: Iterable[str]) -> set[str]:
        return {name.partition(".layers.")[0] for name in names if ".layers." in name or name == "log_temperature"}

    moved = networks(different(trained.saved, trained.uninterrupted))
    assert moved == networks(trained.saved)
    assert {"policy.actor", "critics.0", "critics.1", "target_critics.0", "target_critics.1"} < moved


@pytest.mark.parametrize("way", ["from_checkpoint", "fresh", "running"])
def test_restored_and_continued_is_exactly_uninterrupted(way: str, trained: Trained) -> None:
    if way == "from_checkpoint":
        restored = Algorithm.from_checkpoint(str(trained.checkpoint))
    elif way == "fresh":
        restored = make_config(trained.name).build_algo()
        restored.restore_from_path(str(trained.checkpoint))
    else:  # an algorithm that has gone on goes back
        restored = build(trained.name)
        for _ in range(3):
            restored.train()
        restored.restore_from_path(str(trained.checkpoint))
    for _ in range(2):
        restored.train()
    assert different(everything(restored), trained.uninterrupted) == []
    assert restored.step_count == 4 * STEPS
    restored.stop()


def test_the_normaliser_travels(trained: Trained) -> None:
    restored = Algorithm.from_checkpoint(str(trained.checkpoint))
    policy = restored.evaluation_policy()
    np.testing.assert_array_equal(policy.normalizer.mean.numpy(), MEAN)
    np.testing.assert_array_equal(policy.normalizer.std.numpy(), STD)
    runner_policy = restored.env_runner.module.policy
    if trained.name in ONLINE:  # and reaches those who act
        np.testing.assert_array_equal(runner_policy.normalizer.mean.numpy(), MEAN)
        assert runner_policy.fingerprint() == policy.fingerprint()
    restored.stop()


def test_the_policy_to_evaluate_acts_within_the_action_space(trained: Trained) -> None:
    policy = trained.algorithm.evaluation_policy()
    actions = policy.act(10 * np.random.default_rng(0).normal(size=(100, 11)).astype(np.float32))
    assert actions.shape == (100, 3)
    assert np.abs(actions).max() <= 1
    assert trained.algorithm.evaluation_policy().fingerprint() == policy.fingerprint()


def test_one_seed_is_one_training_and_another_is_another(trained: Trained) -> None:
    again = build(trained.name)
    other = build(trained.name, seed=1)
    for algorithm in (again, other):
        for _ in range(2):
            algorithm.train()
    assert different(everything(again), trained.saved) == []
    names = different(everything(other), trained.saved)
    assert {"policy.actor.layers.0.weight", "critics.0.layers.0.weight", "generator"} <= set(names)
    again.stop()
    other.stop()


@pytest.mark.parametrize("name", OFFLINE)
def test_an_offline_algorithm_without_data_says_what_is_missing(name: str) -> None:
    algorithm = make_config(name).build_algo()
    with pytest.raises(RuntimeError, match="the replay is empty: load transitions before training"):
        algorithm.train()
    algorithm.stop()


@pytest.mark.parametrize("name", ONLINE)
def test_another_action_range_is_stored_in_the_environments_own_units(name: str) -> None:
    """Pendulum's torque is in [−2, 2]; what is stored is what the policy asked for."""
    import gymnasium

    config = make_config(name, id="Pendulum-v1", backend="gymnasium", max_episode_steps=30)
    bank = np.array([[-0.5]], np.float32)
    fault = ConstantSource(PerturbationSnapshot("adversarial", q=1.0, fault=FaultSettings(magnitude=0.5), bank=bank))
    config.training(perturbation_source=fault, random_steps=STEPS)
    config.env_runners(num_envs_per_env_runner=1, rollout_fragment_length=STEPS)
    algorithm = config.build_algo()
    for _ in range(2):
        algorithm.train()
    learner = algorithm.learner_group._learner
    observations, actions, rewards, next_observations, terminations = (
        column.numpy() for column in learner.layout.split(learner.replay._rows[: len(learner.replay)])
    )
    assert learner._num_updates == STEPS  # none during the random steps
    assert 1.8 < np.abs(actions[:STEPS]).max() <= 2
    assert np.abs(actions).max() <= 2
    assert not terminations.any()

    env = gymnasium.make("Pendulum-v1", max_episode_steps=30)
    observation, _ = env.reset(seed=derive_seed(config.seed, "environment", 0, 0, 0))
    for step in range(30):
        np.testing.assert_array_equal(observations[step], observation)
        observation, reward, *_ = env.step(0.5 * actions[step])
        np.testing.assert_allclose(rewards[step], reward, rtol=1e-5)
        np.testing.assert_allclose(next_observations[step], observation, rtol=1e-5, atol=1e-6)
    algorithm.stop()


def test_a_learner_that_is_to_have_a_gpu_and_finds_none_says_so(
    trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RLlib would go on in silence, on the processor."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match=r"runtime\.device is cuda, and torch .* finds no GPU"):
        make_config(trained.name, gpus=0.5).build_algo()


def test_several_learners_are_refused(trained: Trained) -> None:
    config = make_config(trained.name).learners(num_learners=2)
    with pytest.raises(ValueError, match="the replay is not sharded"):
        config.validate()


def test_an_offline_round_goes_not_beyond_its_end() -> None:
    algorithm = build("TD3BC")
    seen = []
    for end in (STEPS // 2, STEPS // 2 + 1, 2 * STEPS, 2 * STEPS):
        algorithm.end_of_round = end
        algorithm.train()
        seen.append(algorithm.step_count)
    algorithm.stop()
    assert seen == [STEPS // 2, STEPS // 2 + 1, STEPS + STEPS // 2 + 1, 2 * STEPS]
