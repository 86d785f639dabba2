import numpy as np
import pytest

from afrl_ray.algorithms import SACConfig
from afrl_ray.config import ExperimentSettings, FinetuneSettings, SACSettings
from afrl_ray.config.loading import with_settings
from afrl_ray.datasets import Transitions
from afrl_ray.pipeline.trial import offline_share, steps_per_iteration, trial_algorithm_config
from afrl_ray.seeding import derive_seed

ROWS = 200


@pytest.fixture
def numbered_rows() -> Transitions:
    """Transitions that carry their row number as reward."""
    return Transitions(
        observations=np.zeros((ROWS, 2), np.float32),
        actions=np.zeros((ROWS, 1), np.float32),
        rewards=np.arange(ROWS, dtype=np.float32),
        next_observations=np.zeros((ROWS, 2), np.float32),
        terminations=np.zeros(ROWS, np.bool_),
        truncations=np.zeros(ROWS, np.bool_),
    )


def settings(ratio: float, seed: int = 0) -> ExperimentSettings:
    return ExperimentSettings(seed=seed, finetune=FinetuneSettings(offline_ratio=ratio))


@pytest.mark.parametrize(("ratio", "count"), [(0.0, 0), (0.1, 20), (0.333, 67), (0.5, 100), (1.0, ROWS)])
def test_the_share_has_the_right_size_and_no_row_twice(ratio: float, count: int, numbered_rows: Transitions) -> None:
    rows = offline_share(numbered_rows, settings(ratio)).rewards
    assert len(rows) == len(set(rows.tolist())) == count


def test_the_share_is_drawn_from_everywhere(numbered_rows: Transitions) -> None:
    rows = offline_share(numbered_rows, settings(0.5)).rewards
    halves = np.histogram(rows, bins=4, range=(0, ROWS))[0]
    assert halves.min() > 15
    assert not np.array_equal(rows, np.arange(len(rows)))


def test_the_seed_alone_decides_the_share(numbered_rows: Transitions) -> None:
    first = offline_share(numbered_rows, settings(0.5)).rewards
    np.testing.assert_array_equal(first, offline_share(numbered_rows, settings(0.5)).rewards)
    assert not np.array_equal(first, offline_share(numbered_rows, settings(0.5, seed=1)).rewards)


def test_everything_is_no_copy(numbered_rows: Transitions) -> None:
    assert offline_share(numbered_rows, settings(1.0)) is numbered_rows


def test_the_algorithm_is_configured_by_the_settings() -> None:
    experiment = with_settings(
        settings(0.5, seed=3),
        {"environment.max_episode_steps": 50, "finetune.algorithm.batch_size": 32, "finetune.num_envs": 4},
    )
    config = trial_algorithm_config(experiment, source=None)
    assert config.settings == experiment.finetune.algorithm
    assert config.environment_settings == experiment.environment
    assert config.replay_capacity == experiment.finetune.replay_capacity
    assert config.seed == derive_seed(3, "finetune")
    assert config.num_envs_per_env_runner == 4
    assert config.num_envs_per_env_runner * config.rollout_fragment_length == 100


def test_the_settings_choose_the_algorithm() -> None:
    choice = {"pretrain.algorithm.type": "iql", "finetune.algorithm.type": "sac", "finetune.algorithm.batch_size": 32}
    config = trial_algorithm_config(with_settings(settings(0.5), choice), source=None)
    assert isinstance(config, SACConfig)
    assert config.settings == SACSettings(batch_size=32)


def test_random_steps_are_for_a_training_from_scratch_alone() -> None:
    counts = []
    for start in ("pretrained", "scratch"):
        experiment = with_settings(settings(0.5), {"finetune.start": start, "finetune.random_steps": 700})
        counts.append(trial_algorithm_config(experiment, source=None).random_steps)
    assert counts == [0, 700]


@pytest.mark.parametrize(
    ("condition", "critic", "expected"),
    [("pgd", "current", True), ("pgd", "pretrained", False), ("adversarial", "current", False)],
)
def test_env_runners_get_the_critics_only_to_descend_on_them(condition: str, critic: str, expected: bool) -> None:
    values = {"perturbation.condition": condition, "perturbation.pgd.critic": critic}
    config = trial_algorithm_config(with_settings(settings(0.5), values), source=None)
    assert config.acting_critics is expected


@pytest.mark.parametrize("num_env_runners", [0, 1, 2])
def test_a_round_is_as_long_with_any_number_of_env_runners(num_env_runners: int) -> None:
    experiment = with_settings(settings(0.5), {"runtime.num_env_runners": num_env_runners, "finetune.num_envs": 2})
    config = trial_algorithm_config(experiment, source=None)
    assert config.num_env_runners == num_env_runners
    assert max(num_env_runners, 1) * config.num_envs_per_env_runner * config.rollout_fragment_length == 100


@pytest.mark.parametrize(
    ("interval", "steps"), [(5000, 1000), (1500, 500), (2500, 500), (1700, 100), (300, 300), (50, 50), (1234, 1000)]
)
def test_evaluations_come_at_their_steps_wherever_whole_rounds_allow_it(interval: int, steps: int) -> None:
    assert steps_per_iteration(interval) == steps
