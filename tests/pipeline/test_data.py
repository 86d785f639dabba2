"""What becomes of data that are not what they were, or more than the replay holds."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from afrl_ray.config import load_experiment
from afrl_ray.pipeline import data
from afrl_ray.pipeline.data import make_data, refuse_other_data
from afrl_ray.pipeline.experiment import Experiment


@pytest.fixture(autouse=True)
def without_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "connect", lambda _: None)


def write(path: Path, reward: float) -> None:
    rows = 20
    with h5py.File(path, "w") as file:
        file["observations"] = file["next_observations"] = np.zeros((rows, 2), np.float32)
        file["actions"], file["rewards"] = np.zeros((rows, 1), np.float32), np.full(rows, reward, np.float32)
        file["terminals"], file["timeouts"] = np.zeros(rows, np.bool_), np.arange(rows) % 5 == 4


def experiment(folder: Path, *overrides: str) -> Experiment:
    plain = ["environment.id=MountainCarContinuous-v0", "tracking.enabled=false", "finetune.algorithm.batch_size=2"]
    place = [f"output={folder / 'run'}", f"data={{type: d4rl, dataset: {folder}/car.hdf5}}"]
    return Experiment(load_experiment(None, [*plain, *place, *overrides]))


def test_data_of_another_file_are_not_kept(tmp_path: Path) -> None:
    write(tmp_path / "car.hdf5", 1.0)
    stage, transitions = make_data(experiment(tmp_path))
    assert make_data(experiment(tmp_path))[1].fingerprint() == transitions.fingerprint()
    write(tmp_path / "car.hdf5", 2.0)
    for again in (make_data, lambda one: refuse_other_data(stage, one.settings.data)):
        with pytest.raises(ValueError, match=r"car\.hdf5 is not the one that .*/run/data was made from"):
            again(experiment(tmp_path))
    (tmp_path / "car.hdf5").unlink()  # as on another machine
    assert make_data(experiment(tmp_path))[1].fingerprint() == transitions.fingerprint()


def test_more_rows_than_the_replay_holds_are_refused_once_they_are_counted(tmp_path: Path) -> None:
    write(tmp_path / "car.hdf5", 1.0)
    small = experiment(tmp_path, "finetune.replay_capacity=19")
    with pytest.raises(ValueError, match=r"replay_capacity \(19\) cannot hold the 20 offline transitions"):
        make_data(small)
    half = experiment(tmp_path, "finetune.replay_capacity=19", "finetune.offline_ratio=0.5")
    assert len(make_data(half)[1]) == 20
    with pytest.raises(ValueError, match=r"replay_capacity \(19\) cannot hold"):
        make_data(small)
