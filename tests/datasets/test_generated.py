from pathlib import Path

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box

from afrl_ray.config import EnvironmentSettings, GeneratedData
from afrl_ray.datasets import generate_transitions, generated, load_transitions
from afrl_ray.envs import StepResult, make_vector_env, sizes
from afrl_ray.networks import Policy, PolicyFileError

HOPPER = EnvironmentSettings(id="hopper", max_episode_steps=50)


@pytest.fixture(scope="module")
def policy() -> Policy:
    torch.manual_seed(0)
    return Policy(11, [-1] * 3, [1] * 3, (8,)).eval()


def data(transitions: int, noise: float = 0.0) -> GeneratedData:
    return GeneratedData(transitions=transitions, exploration_noise=noise)


def test_rows_follow_each_other_inside_episodes(policy: Policy) -> None:
    transitions = generate_transitions(policy, data(500, 0.2), HOPPER, seed=1)
    assert len(transitions) == 500
    assert transitions.terminations.any()
    episodes = transitions.episodes()
    assert len(episodes) > 10
    for rows in episodes[:-1]:
        assert transitions.terminations[rows][-1] or transitions.truncations[rows][-1]
    for rows in episodes:
        np.testing.assert_array_equal(
            transitions.observations[rows][1:], transitions.next_observations[rows][:-1], strict=True
        )


def test_replaying_the_first_episode_gives_its_rewards(policy: Policy) -> None:
    transitions = generate_transitions(policy, data(120), HOPPER, seed=1)
    first = transitions.subset(transitions.episodes()[0])
    env = make_vector_env(HOPPER, [generated.derive_seed(1, "data", "environment", 0)])
    observations = env.reset()
    for row in range(len(first)):
        np.testing.assert_array_equal(observations[0], first.observations[row])
        result = env.step(first.actions[row : row + 1])
        observations = result.observations
        np.testing.assert_array_equal(result.rewards[0], first.rewards[row])
        np.testing.assert_array_equal(observations[0], first.next_observations[row])
        assert result.terminations[0] == first.terminations[row]
        assert result.truncations[0] == first.truncations[row]
    env.close()


def test_the_last_episode_is_cut_where_the_rows_are_full_and_counts_as_none() -> None:
    pendulum = EnvironmentSettings(id="Pendulum-v1", backend="gymnasium", max_episode_steps=20)
    transitions = generate_transitions(Policy(3, [-2], [2], (4,)).eval(), data(70), pendulum, seed=0)
    assert [rows.stop - rows.start for rows in transitions.episodes()] == [20, 20, 20, 10]
    assert np.flatnonzero(transitions.truncations).tolist() == [19, 39, 59]
    assert len(transitions.episode_returns()) == 3


class LongAndShort:
    """Environment 0 has episodes of 10 steps, environment 1 of 2."""

    num_envs = 2
    observation_space = Box(-1, 1, (1,))
    action_space = Box(-1, 1, (1,))

    def __init__(self) -> None:
        self.steps = np.zeros(2, dtype=np.int64)

    def reset(self, env_ids: np.ndarray | None = None) -> np.ndarray:
        ids = np.arange(2) if env_ids is None else env_ids
        self.steps[ids] = 0
        return np.zeros((len(ids), 1), dtype=np.float32)

    def step(self, actions: np.ndarray, env_ids: np.ndarray) -> StepResult:
        assert (self.steps[env_ids] < np.array([10, 2])[env_ids]).all(), "stepped after its end"
        self.steps[env_ids] += 1
        ended = self.steps[env_ids] == np.array([10, 2])[env_ids]
        return StepResult(actions * 0, actions[:, 0] * 0, ended, np.zeros_like(ended))

    def close(self) -> None: ...


def test_short_episodes_are_not_favoured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Episodes are kept in the order they began; a long one is waited for while short ones go on."""
    for module in (generated, sizes):
        monkeypatch.setattr(module, "make_vector_env", lambda *_: LongAndShort())
    transitions = generate_transitions(Policy(1, [-1], [1], (4,)).eval(), data(24), HOPPER, seed=0)
    assert [rows.stop - rows.start for rows in transitions.episodes()] == [10, 2, 2, 2, 2, 2, 4]
    assert not transitions.truncations.any()


def test_same_seed_same_data_and_another_seed_other_data(policy: Policy) -> None:
    fingerprints = [
        generate_transitions(policy, data(200, 0.1), HOPPER, seed, num_threads=threads).fingerprint()
        for seed, threads in ((0, 1), (0, 2), (1, 1))
    ]
    assert fingerprints[0] == fingerprints[1] != fingerprints[2]


def test_noise_has_its_scale_and_stays_inside_the_action_space() -> None:
    pendulum = EnvironmentSettings(id="Pendulum-v1", max_episode_steps=200)
    policy = Policy(3, [-2], [2], (4,)).eval()
    torch.nn.init.zeros_(policy.actor.layers[-1].weight)
    torch.nn.init.zeros_(policy.actor.layers[-1].bias)  # π(s) = 0
    quiet = generate_transitions(policy, data(1000, 0.1), pendulum, seed=0)
    assert quiet.actions.std() == pytest.approx(0.1 * 2, rel=0.1)
    loud = generate_transitions(policy, data(1000, 3.0), pendulum, seed=0)
    assert np.abs(loud.actions).max() == 2


def test_progress_counts_to_the_end(policy: Policy) -> None:
    seen: list[tuple[int, int]] = []
    generate_transitions(policy, data(200), HOPPER, seed=0, progress=lambda *done: seen.append(done))
    assert seen[-1] == (200, 200)
    assert seen == sorted(seen)


def test_a_policy_of_another_robot_is_refused(policy: Policy) -> None:
    with pytest.raises(ValueError, match="takes 11 observations and gives 3 actions, but ant has 27 and 8"):
        generate_transitions(policy, data(10), EnvironmentSettings(id="ant"), seed=0)


def test_missing_expert_names_the_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(generated.resources, "files", lambda _: tmp_path)
    with pytest.raises(FileNotFoundError, match="no expert is bundled for hopper; run `afrl train-expert hopper`"):
        load_transitions(GeneratedData(), EnvironmentSettings(id="Hopper-v5"), seed=0)


def test_other_environments_have_no_expert() -> None:
    with pytest.raises(ValueError, match=r"no expert is bundled for Pendulum-v1, only for hopper, .*set data\.policy"):
        load_transitions(GeneratedData(), EnvironmentSettings(id="Pendulum-v1"), seed=0)


def test_policy_path_errors(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no policy file at"):
        load_transitions(GeneratedData(policy=str(tmp_path / "none")), HOPPER, seed=0)
    (tmp_path / "text").write_text("text")
    with pytest.raises(PolicyFileError, match="is not a safetensors file"):
        load_transitions(GeneratedData(policy=str(tmp_path / "text")), HOPPER, seed=0)
