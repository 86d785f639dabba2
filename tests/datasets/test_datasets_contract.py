"""What every data source owes, whatever it reads."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from afrl_ray.config import D4RLData, DataSettings, EnvironmentSettings, GeneratedData, MinariData
from afrl_ray.datasets import Transitions, generate_transitions, load_transitions, save_minari
from afrl_ray.networks import Policy, save_policy_file

HOPPER = EnvironmentSettings(id="Hopper-v4", max_episode_steps=40)
SOURCES = ("generated", "minari", "d4rl", "d4rl without next observations")


@pytest.fixture(params=SOURCES)
def source(
    request: pytest.FixtureRequest,
    write_d4rl: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> DataSettings:
    """300 rows of one policy, through each kind of file."""
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    torch.manual_seed(0)
    policy = Policy(11, [-1] * 3, [1] * 3, (8,)).eval()
    save_policy_file(policy, tmp_path / "policy.safetensors")
    generated = GeneratedData(policy=str(tmp_path / "policy.safetensors"), transitions=300, exploration_noise=0.3)
    if request.param == "generated":
        return generated
    transitions = generate_transitions(policy, generated, HOPPER, seed=0)
    if request.param == "minari":
        pytest.importorskip("minari")
        save_minari(transitions, "contract-v0", HOPPER)
        return MinariData(dataset="contract-v0")
    leave_out = ("next_observations",) if "without" in request.param else ()
    return D4RLData(dataset=str(write_d4rl(tmp_path / "contract.hdf5", transitions, leave_out)))


def test_columns_fit_the_robot(source: DataSettings) -> None:
    transitions = load_transitions(source, HOPPER, seed=0)
    assert 250 < len(transitions) <= 300
    assert (transitions.observation_size, transitions.action_size) == (11, 3)
    assert np.abs(transitions.actions).max() <= 1


def test_episodes_are_contiguous_and_no_longer_than_the_limit(source: DataSettings) -> None:
    transitions = load_transitions(source, HOPPER, seed=0)
    for rows in transitions.episodes():
        assert 0 < rows.stop - rows.start <= HOPPER.max_episode_steps
        ends = (transitions.terminations | transitions.truncations)[rows]
        assert not ends[:-1].any()
        np.testing.assert_array_equal(transitions.observations[rows][1:], transitions.next_observations[rows][:-1])


def test_sources_agree_on_finished_episodes(source: DataSettings) -> None:
    """Each kind of file holds the same data: only where s' is missing are an episode's last rows lost."""
    transitions = load_transitions(source, HOPPER, seed=0)
    assert transitions.terminations.any()
    fell = [
        float(transitions.rewards[rows].sum(dtype=np.float64))
        for rows in transitions.episodes()
        if transitions.terminations[rows][-1]
    ]
    policy_file = GeneratedData(policy="unused", transitions=300, exploration_noise=0.3)
    torch.manual_seed(0)
    original = generate_transitions(Policy(11, [-1] * 3, [1] * 3, (8,)).eval(), policy_file, HOPPER, seed=0)
    expected = [
        float(original.rewards[rows].sum(dtype=np.float64))
        for rows in original.episodes()
        if original.terminations[rows][-1]
    ]
    assert fell == expected


def test_loading_twice_gives_the_same_data(source: DataSettings) -> None:
    first, second = (load_transitions(source, HOPPER, seed=0).fingerprint() for _ in range(2))
    assert first == second


def test_progress_ends_at_the_number_of_rows(source: DataSettings) -> None:
    seen: list[tuple[int, int]] = []
    transitions = load_transitions(source, HOPPER, seed=0, progress=lambda *done: seen.append(done))
    assert seen[-1] == (len(transitions), len(transitions))


def test_data_of_another_robot_are_refused(source: DataSettings) -> None:
    with pytest.raises(ValueError, match=r"11 observations and .*3 actions, but ant has 27 and 8"):
        load_transitions(source, EnvironmentSettings(id="ant"), seed=0)


def test_the_transitions_of_a_source_survive_the_file(source: DataSettings, tmp_path: Path) -> None:
    transitions = load_transitions(source, HOPPER, seed=0)
    transitions.save(tmp_path / "data.npz")
    assert Transitions.load(tmp_path / "data.npz").fingerprint() == transitions.fingerprint()
