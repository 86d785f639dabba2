from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from afrl_ray.config import D4RLData, EnvironmentSettings
from afrl_ray.datasets import Transitions, load_transitions
from afrl_ray.datasets.d4rl_data import find_d4rl_file, read_d4rl
from afrl_ray.envs import make_vector_env

WriteD4RL = Callable[..., Path]


def read(path: Path, max_episode_steps: int = 1000, transitions: int | None = None) -> Transitions:
    return read_d4rl(D4RLData(dataset=str(path), transitions=transitions), max_episode_steps)


def test_complete_files_are_read_as_they_are(
    three_episodes: Transitions, write_d4rl: WriteD4RL, tmp_path: Path
) -> None:
    path = write_d4rl(tmp_path / "file.hdf5", three_episodes)
    assert read(path).fingerprint() == three_episodes.fingerprint()
    assert read(path, transitions=4).fingerprint() == three_episodes.subset(slice(4)).fingerprint()


def test_without_next_observations_no_row_looks_into_another_episode(
    three_episodes: Transitions, write_d4rl: WriteD4RL, tmp_path: Path
) -> None:
    transitions = read(write_d4rl(tmp_path / "file.hdf5", three_episodes, leave_out=("next_observations",)))
    # row 4 timed out and row 6 is the file's last: their next observations are nowhere
    assert transitions.rewards.tolist() == [1, 2, 3, 4, 6]
    expected = three_episodes.next_observations[[0, 1, 2, 3, 5]].copy()
    expected[2] = three_episodes.observations[2]  # terminal: never used
    np.testing.assert_array_equal(transitions.next_observations, expected)
    assert transitions.terminations.tolist() == [False, False, True, False, False]
    assert transitions.truncations.tolist() == [False, False, False, True, False]
    assert transitions.episode_returns().tolist() == [6, 4]


def test_an_episode_of_one_timed_out_row_leaves_no_trace(
    three_episodes: Transitions, write_d4rl: WriteD4RL, tmp_path: Path
) -> None:
    single = three_episodes.subset(np.array([0, 1, 2, 4, 5, 6]))
    transitions = read(write_d4rl(tmp_path / "file.hdf5", single, leave_out=("next_observations",)))
    assert transitions.rewards.tolist() == [1, 2, 3, 6]
    assert transitions.terminations.tolist() == [False, False, True, False]
    assert not transitions.truncations.any()


def test_a_last_terminal_row_is_kept(three_episodes: Transitions, write_d4rl: WriteD4RL, tmp_path: Path) -> None:
    first = three_episodes.subset(slice(3))
    transitions = read(write_d4rl(tmp_path / "file.hdf5", first, leave_out=("next_observations",)))
    assert transitions.rewards.tolist() == [1, 2, 3]
    assert transitions.terminations.tolist() == [False, False, True]


def test_without_timeouts_the_time_limit_ends_episodes(write_d4rl: WriteD4RL, tmp_path: Path) -> None:
    zeros = np.zeros((8, 1), dtype=np.float32)
    terminations = np.array([0, 1, 0, 0, 0, 0, 0, 1], dtype=np.bool_)
    transitions = Transitions(zeros, zeros, zeros[:, 0], zeros, terminations, np.zeros(8, np.bool_))
    path = write_d4rl(tmp_path / "file.hdf5", transitions, leave_out=("timeouts",))
    assert np.flatnonzero(read(path, max_episode_steps=3).truncations).tolist() == [4]
    assert np.flatnonzero(read(path, max_episode_steps=2).truncations).tolist() == [3, 5]
    assert not read(path).truncations.any()


def test_a_row_that_fell_at_the_time_limit_is_terminal(
    three_episodes: Transitions, write_d4rl: WriteD4RL, tmp_path: Path
) -> None:
    path = write_d4rl(tmp_path / "file.hdf5", three_episodes)
    with h5py.File(path, "a") as file:
        file["timeouts"][2] = True
    assert read(path).fingerprint() == three_episodes.fingerprint()


@pytest.mark.parametrize("name", ["hopper-medium-replay-v2", "hopper_medium_replay-v2"])
def test_names_are_found_in_the_d4rl_folder(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "hopper_medium_replay-v2.hdf5"
    path.touch()
    (tmp_path / "hopper_medium-v2.hdf5").touch()
    monkeypatch.setenv("D4RL_DATASET_DIR", str(tmp_path))
    assert find_d4rl_file(name) == path


def test_the_default_folder_is_d4rls_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("D4RL_DATASET_DIR", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    path = tmp_path / ".d4rl" / "datasets" / "ant_expert-v2.hdf5"
    path.parent.mkdir(parents=True)
    path.touch()
    assert find_d4rl_file("ant-expert-v2") == path


def test_errors_say_where_it_was_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("D4RL_DATASET_DIR", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=f"no D4RL data set hopper-expert-v2: looked for .* in {tmp_path}"):
        find_d4rl_file("hopper-expert-v2")
    with pytest.raises(FileNotFoundError, match=f"no D4RL file at {tmp_path}/none.hdf5"):
        find_d4rl_file(str(tmp_path / "none.hdf5"))


def test_other_files_are_refused(three_episodes: Transitions, write_d4rl: WriteD4RL, tmp_path: Path) -> None:
    text = tmp_path / "text.hdf5"
    text.write_text("text")
    with pytest.raises(ValueError, match=r"text\.hdf5 is not an HDF5 file"):
        read(text)
    path = write_d4rl(tmp_path / "file.hdf5", three_episodes, leave_out=("actions", "rewards"))
    with pytest.raises(ValueError, match="is not a D4RL file: it has no actions, rewards"):
        read(path)
    nothing = write_d4rl(tmp_path / "empty.hdf5", three_episodes.subset(slice(0)), leave_out=("next_observations",))
    with pytest.raises(ValueError, match="holds no transitions"):
        read(nothing)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("terminals", np.zeros(4, np.bool_), "terminals has 4 rows, but observations has 7"),
        ("timeouts", np.zeros(9, np.bool_), "timeouts has 9 rows, but observations has 7"),
        ("observations", np.float32(3.0), "observations is no array with 2 dimension"),
        ("observations", np.zeros((1, 7, 2), np.float32), "observations is no array with 2 dimension"),
        ("actions", h5py.Empty("f"), "actions is no array with 2 dimension"),
        ("rewards", None, r"rewards is no array with 1 or 2 dimension"),
        ("rewards", np.full(7, b"one"), "could not convert string to float"),
    ],
)
def test_columns_of_another_form_are_refused(
    name: str, content: Any, message: str, three_episodes: Transitions, write_d4rl: WriteD4RL, tmp_path: Path
) -> None:
    path = write_d4rl(tmp_path / "file.hdf5", three_episodes, leave_out=(name,))
    with h5py.File(path, "a") as file:
        if content is None:
            file.create_group(name)
        else:
            file[name] = content
    with pytest.raises(ValueError, match=rf"file\.hdf5: {message}"):
        read(path)


# ---- the ant's contact forces --------------------------------------------------------------------------------------

ANT = EnvironmentSettings(id="Ant-v4")


def ant_rows(force: float = 0.0) -> Transitions:
    """Three rows as D4RL has them: 27 observations that say where they are from, then 84 contact forces."""
    observations = np.zeros((3, 111), dtype=np.float32)
    observations[:, :27] = np.arange(27) + 100 * np.arange(3)[:, None]
    observations[1, 110] = force
    return Transitions(
        observations=observations,
        actions=np.zeros((3, 8), dtype=np.float32),
        rewards=np.ones(3, dtype=np.float32),
        next_observations=np.roll(observations, -1, axis=0),
        terminations=np.zeros(3, dtype=np.bool_),
        truncations=np.array([False, False, True]),
    )


@pytest.mark.parametrize("environment_id", ["ant", "Ant-v4", "Ant-v2", "ant-medium-v2"])
def test_the_ant_s_data_fit_its_v4_environment(environment_id: str, write_d4rl: WriteD4RL, tmp_path: Path) -> None:
    path = write_d4rl(tmp_path / "ant_medium-v2.hdf5", ant_rows())
    environment = EnvironmentSettings(id=environment_id)
    transitions = load_transitions(D4RLData(dataset=str(path)), environment, seed=0)
    np.testing.assert_array_equal(transitions.observations, ant_rows().observations[:, :27])
    np.testing.assert_array_equal(transitions.next_observations, ant_rows().next_observations[:, :27])
    env = make_vector_env(environment, [0])
    assert env.observation_space.shape == (27,)
    env.close()


def test_contact_forces_are_not_thrown_away_unseen(write_d4rl: WriteD4RL, tmp_path: Path) -> None:
    path = write_d4rl(tmp_path / "ant_medium-v2.hdf5", ant_rows(force=0.5))
    with pytest.raises(ValueError, match=r"has contact forces in 2 of 3 rows.*environment with observations of 111"):
        load_transitions(D4RLData(dataset=str(path)), ANT, seed=0)


def test_other_widths_are_refused(write_d4rl: WriteD4RL, tmp_path: Path) -> None:
    path = write_d4rl(tmp_path / "ant_medium-v2.hdf5", ant_rows())
    with pytest.raises(ValueError, match="111 observations and 8 actions, but Ant-v5 has 105 and 8"):
        load_transitions(D4RLData(dataset=str(path)), EnvironmentSettings(id="Ant-v5"), seed=0)


def test_a_name_tells_robots_of_the_same_size_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("D4RL_DATASET_DIR", str(tmp_path))
    with pytest.raises(ValueError, match=r"is data of walker2d, .*write environment\.id: walker2d$"):
        load_transitions(D4RLData(dataset="walker2d-expert-v2"), EnvironmentSettings(id="HalfCheetah-v4"), seed=0)
    with pytest.raises(FileNotFoundError):  # this one is looked for: the names agree
        load_transitions(D4RLData(dataset="walker2d-expert-v2"), EnvironmentSettings(id="Walker2d-v5"), seed=0)
