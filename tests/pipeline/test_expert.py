"""When the training of an expert is saved; what it saves is in test_training.py."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from afrl_ray.config import ExpertSettings
from afrl_ray.envs import find_robot
from afrl_ray.pipeline import expert


class Recorder:
    """A training that only counts its steps."""

    def __init__(self) -> None:
        self.algorithm = SimpleNamespace(step_count=0, evaluation_policy=lambda: None)
        self.curve: list[Any] = []
        self.best = None
        self.saved: list[int] = []

    def advance(self, step: int, _on_progress: Any) -> None:
        self.algorithm.step_count = step

    def record(self, row: Any, _score: float) -> None:
        self.curve.append(row)

    def save_atomically(self, _directory: Path) -> None:
        self.saved.append(self.algorithm.step_count)


@pytest.mark.parametrize(
    ("evaluations", "checkpoints", "saved"),
    [(40, 50, [80, 120, 160, 200, 210]), (50, 100, [100, 200, 210]), (70, 30, [70, 140, 210]), (60, 1000, [210])],
)
def test_checkpoints_come_with_the_first_evaluation_after_their_interval(
    evaluations: int, checkpoints: int, saved: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expert, "_scores", lambda *_: np.array([1.0]))
    settings = ExpertSettings(steps=210, evaluation_interval=evaluations, checkpoint_interval=checkpoints)
    training = Recorder()
    expert._train(training, settings, find_robot("hopper"), tmp_path)  # type: ignore[arg-type]
    assert training.saved == saved
