"""How pretraining ends; that it trains is tried in tests/integration/test_whole_pipeline.py."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from afrl_ray.algorithms.replay import ColumnarReplay
from afrl_ray.algorithms.replay_log import ReplayLog
from afrl_ray.config import load_experiment
from afrl_ray.pipeline import pretrain
from afrl_ray.pipeline.artifacts import Stage
from afrl_ray.pipeline.experiment import Experiment
from afrl_ray.pipeline.mirror import Mirror
from afrl_ray.pipeline.pretrain import finish_with_replay
from afrl_ray.pipeline.training import Training
from experiments import tiny_experiment

ROWS = np.arange(12, dtype=np.float32).reshape(4, 3)


class KilledError(Exception):
    """Stands for the end of the process."""


def killed(*_: Any) -> None:
    raise KilledError


@pytest.mark.parametrize("when", ["before publishing", "after publishing"])
def test_a_kill_at_the_end_loses_no_rows(when: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uri = f"file://{tmp_path}/twin/pretrain"

    def stage(machine: str) -> Stage:
        return Stage("pretrain", tmp_path / machine / "pretrain", {"updates": 10}, {}, Mirror(uri))

    def replay() -> ColumnarReplay:
        return ColumnarReplay(4, 3, torch.device("cpu"), ReplayLog(f"{uri}/replay"))

    first = stage("first")
    first.begin()
    trained = replay()
    trained.add(ROWS)
    trained.save_to_path(first.directory / "checkpoint" / "replay")
    first.keep()

    with monkeypatch.context() as patch:
        if when == "before publishing":
            patch.setattr(Mirror, "publish", killed)
        else:
            patch.setattr(ReplayLog, "delete", killed)
        with pytest.raises(KilledError):
            finish_with_replay(first, {"score": 1.5}, seed=0)

    second = stage("second")
    if when == "before publishing":
        assert second.begin() is True
        resumed = replay()
        resumed.restore_from_path(second.directory / "checkpoint" / "replay")
        np.testing.assert_array_equal(resumed._numbered(0, 4), ROWS)
        finish_with_replay(second, {"score": 1.5}, seed=0)
        assert not (tmp_path / "twin" / "pretrain" / "replay").exists()

    third = stage("third")
    manifest = third.finished()
    assert manifest is not None
    assert manifest["outputs"] == {"score": 1.5}
    np.testing.assert_array_equal(np.load(third.directory / "checkpoint" / "replay" / "rows.npy"), ROWS)


@pytest.mark.slow
@pytest.mark.usefixtures("ray_session")
@pytest.mark.parametrize(("seconds", "saved_at"), [(3600.0, [200]), (0.0, [50, 100, 150, 200])])
def test_checkpoints_come_after_a_time_as_well(
    seconds: float, saved_at: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved, save = [], Training.save_atomically

    def recorded(training: Training, directory: Path) -> None:
        saved.append(training.algorithm.step_count)
        save(training, directory)

    monkeypatch.setattr(Training, "save_atomically", recorded)
    monkeypatch.setattr(pretrain, "_CHECKPOINT_SECONDS", seconds)
    config = tmp_path / "tiny.yaml"
    config.write_text(tiny_experiment(steps=100))
    changes = ["pretrain.updates=200", "pretrain.checkpoint_interval=1000", "tracking.enabled=false"]
    pretrain.pretrain(Experiment(load_experiment(config, [*changes, f"output={tmp_path / 'out'}"])))
    assert saved == saved_at
