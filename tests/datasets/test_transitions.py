import dataclasses
import zipfile
from pathlib import Path

import numpy as np
import pytest

from afrl_ray.datasets import Transitions, observation_statistics


def test_episode_returns_leave_out_the_unfinished_episode(three_episodes: Transitions) -> None:
    np.testing.assert_array_equal(three_episodes.episode_returns(), [1 + 2 + 3, 4 + 5])


def test_episodes_are_slices_and_hold_the_unfinished_one(three_episodes: Transitions) -> None:
    assert three_episodes.episodes() == [slice(0, 3), slice(3, 5), slice(5, 7)]
    assert three_episodes.subset(slice(0, 5)).episodes() == [slice(0, 3), slice(3, 5)]
    assert three_episodes.subset(slice(0, 0)).episodes() == []
    assert three_episodes.subset(slice(0, 0)).episode_returns().tolist() == []


def test_subset_takes_indices_in_order_and_masks(three_episodes: Transitions) -> None:
    assert three_episodes.subset(np.array([4, 0])).rewards.tolist() == [5, 1]
    assert three_episodes.subset(three_episodes.rewards > 5).rewards.tolist() == [6, 7]


def test_file_round_trip_is_exact_and_leaves_no_other_file(three_episodes: Transitions, tmp_path: Path) -> None:
    path = tmp_path / "made" / "data.npz"
    three_episodes.save(path)
    assert Transitions.load(path).fingerprint() == three_episodes.fingerprint()
    assert [file.name for file in path.parent.iterdir()] == ["data.npz"]
    with zipfile.ZipFile(path) as archive:
        assert all(entry.compress_type == zipfile.ZIP_STORED for entry in archive.infolist())


def test_a_failed_save_keeps_the_file_that_was_there(
    three_episodes: Transitions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "data.npz"
    path.write_bytes(b"before")

    def full_disk(*_: object, **__: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(np, "savez", full_disk)
    with pytest.raises(OSError, match="no space"):
        three_episodes.save(path)
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_loading_says_what_is_wrong(three_episodes: Transitions, tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    with pytest.raises(FileNotFoundError, match="no transitions file at"):
        Transitions.load(path)
    path.write_bytes(b"text")
    with pytest.raises(ValueError, match=r"data\.npz is not an \.npz file"):
        Transitions.load(path)
    np.savez(path, observations=three_episodes.observations)
    with pytest.raises(ValueError, match="is not an afrl_ray transitions file"):
        Transitions.load(path)
    np.savez(path, np.array([{}]))
    with pytest.raises(ValueError, match=r"is not an \.npz file"):
        Transitions.load(path)


def test_fingerprint_follows_values_alone(three_episodes: Transitions) -> None:
    copied = three_episodes.subset(slice(None))
    assert copied.fingerprint() == three_episodes.fingerprint()
    changed = dataclasses.replace(copied, rewards=copied.rewards + np.float32(1e-6))
    assert changed.fingerprint() != three_episodes.fingerprint()
    assert three_episodes.subset(np.arange(6)).fingerprint() != three_episodes.fingerprint()


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("rewards", np.zeros(7), "rewards must be float32, not float64"),
        ("terminations", np.zeros(7, np.float32), "terminations must be bool, not float32"),
        ("rewards", [0.0] * 7, "rewards must be a NumPy array, not list"),
        ("rewards", np.zeros((7, 1), np.float32), r"rewards must have 1 dimension\(s\), not the shape \(7, 1\)"),
        ("actions", np.zeros((6, 1), np.float32), "actions has 6 rows, but rewards has 7"),
        ("next_observations", np.zeros((7, 3), np.float32), r"the shape \(7, 3\), observations \(7, 2\)"),
        (
            "actions",
            np.array([0, 0, np.nan, 0, 0, 0, 0], np.float32)[:, None],
            "actions holds a value that is not finite, first in row 2",
        ),
        ("truncations", np.ones(7, np.bool_), "row 2 is both terminated and truncated"),
    ],
)
def test_bad_columns_are_refused(three_episodes: Transitions, column: str, value: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(three_episodes, **{column: value})


def test_statistics_are_those_of_td3_bc() -> None:
    observations = np.array([[0, 5], [2, 5]], dtype=np.float32)
    mean, std = observation_statistics(observations)
    np.testing.assert_allclose(mean, [1, 5])
    np.testing.assert_allclose(std, [1.001, 0.001], rtol=1e-6)
    assert mean.dtype == std.dtype == np.float32


def test_statistics_do_not_drift_over_many_rows() -> None:
    mean, std = observation_statistics(np.full((3_000_000, 1), 1000.1, dtype=np.float32))
    np.testing.assert_allclose(mean, np.float32(1000.1), rtol=1e-7)
    np.testing.assert_allclose(std, 1e-3, rtol=1e-3)


def test_statistics_of_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="no observations"):
        observation_statistics(np.zeros((0, 2), np.float32))
