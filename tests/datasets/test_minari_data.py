import sys
from pathlib import Path

import numpy as np
import pytest

from afrl_ray.config import EnvironmentSettings, MinariData
from afrl_ray.datasets import MissingDependencyError, Transitions, save_minari, source_fingerprint
from afrl_ray.datasets.minari_data import read_minari

minari = pytest.importorskip("minari")

CAR = EnvironmentSettings(id="MountainCarContinuous-v0", max_episode_steps=200)  # O = 2, A = 1


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    return tmp_path / "minari"


def test_round_trip_is_exact_by_name_and_by_folder(three_episodes: Transitions, root: Path) -> None:
    folder = save_minari(three_episodes, "car/three-v0", CAR, description="three episodes")
    assert folder == root / "car" / "three-v0"
    assert read_minari(MinariData(dataset="car/three-v0")).fingerprint() == three_episodes.fingerprint()
    assert read_minari(MinariData(dataset=str(folder))).fingerprint() == three_episodes.fingerprint()
    assert read_minari(MinariData(dataset=str(folder / "data"))).fingerprint() == three_episodes.fingerprint()


def test_minari_itself_sees_whole_episodes_and_the_environment(three_episodes: Transitions) -> None:
    save_minari(three_episodes, "three-v0", CAR)
    dataset = minari.load_dataset("three-v0")
    assert [len(episode) for episode in dataset] == [3, 2, 2]
    assert dataset[0].observations.shape == (4, 2)
    assert dataset.env_spec.id == "MountainCarContinuous-v0"
    assert dataset.env_spec.max_episode_steps == 200
    assert dataset.observation_space.dtype == np.float32


def test_transitions_limit(three_episodes: Transitions) -> None:
    save_minari(three_episodes, "three-v0", CAR)
    assert (
        read_minari(MinariData(dataset="three-v0", transitions=4)).fingerprint()
        == three_episodes.subset(slice(4)).fingerprint()
    )


def test_episodes_without_flags_stay_apart() -> None:
    buffers = [
        minari.data_collector.EpisodeBuffer(
            observations=np.zeros((3, 2), np.float64),
            actions=np.zeros((2, 1), np.float64),
            rewards=np.full(2, reward, np.float64),
            terminations=np.zeros(2, np.bool_),
            truncations=np.zeros(2, np.bool_),
        )
        for reward in (1, 2)
    ]
    with pytest.warns(UserWarning, match="is set to None"):
        minari.create_dataset_from_buffers("plain-v0", buffers, env="MountainCarContinuous-v0")
    transitions = read_minari(MinariData(dataset="plain-v0"))
    assert transitions.truncations.tolist() == [False, True, False, False]
    assert transitions.episode_returns().tolist() == [2]


def test_missing_data_set_says_where_it_was_looked_for(root: Path) -> None:
    with pytest.raises(FileNotFoundError, match=f"nor in {root}; download it with: minari download car/none-v0"):
        read_minari(MinariData(dataset="car/none-v0"))


def test_existing_name_is_not_overwritten(three_episodes: Transitions) -> None:
    save_minari(three_episodes, "three-v0", CAR)
    with pytest.raises(FileExistsError, match="choose another name, or: minari delete three-v0"):
        save_minari(three_episodes, "three-v0", CAR)


def test_malformed_name(three_episodes: Transitions) -> None:
    with pytest.raises(ValueError, match="'three' is not a Minari name; write it like mujoco/hopper/mine-v0"):
        save_minari(three_episodes, "three", CAR)


def test_shuffled_rows_are_refused_and_nothing_is_written(three_episodes: Transitions, root: Path) -> None:
    with pytest.raises(ValueError, match="rows 0 and 1 do not follow each other"):
        save_minari(three_episodes.subset(np.array([1, 0, 3])), "shuffled-v0", CAR)
    assert not (root / "shuffled-v0").exists()


def test_without_minari_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "minari", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'afrl-ray\[minari\]'"):
        read_minari(MinariData(dataset="three-v0"))


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("metadata.json", b"{}"),
        ("metadata.json", b"[]"),
        ("metadata.json", b"nothing"),
        ("main_data.hdf5", b"nothing"),
    ],
)
def test_damaged_files_are_told_of(file: str, content: bytes, three_episodes: Transitions) -> None:
    folder = save_minari(three_episodes, "car/three-v0", CAR)
    (folder / "data" / file).write_bytes(content)
    for dataset in ("car/three-v0", str(folder)):
        with pytest.raises(ValueError, match=f"the Minari data set {dataset} cannot be read, its files are damaged"):
            read_minari(MinariData(dataset=dataset))


def test_other_files_have_another_fingerprint(three_episodes: Transitions) -> None:
    settings = MinariData(dataset="car/three-v0")
    assert source_fingerprint(settings) is None
    folder = save_minari(three_episodes, "car/three-v0", CAR)
    first = source_fingerprint(settings)
    assert first == source_fingerprint(MinariData(dataset=str(folder / "data")))
    (folder / "data" / "metadata.json").write_text("{}")
    assert source_fingerprint(settings) not in (first, None)
