"""When the training of an expert is saved; what it saves is in test_training.py."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from afrl_ray.config import EnvironmentSettings, ExpertSettings
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
    ("begun", "saved"), [(0, [40, 80, 120, 160, 200, 210]), (120, [160, 200, 210]), (130, [160, 200, 210]), (210, [])]
)
def test_every_evaluation_leaves_a_checkpoint_to_go_on_from(
    begun: int, saved: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expert, "_scores", lambda *_: np.array([1.0]))
    settings = ExpertSettings(steps=210, random_steps=100, evaluation_interval=40)
    training = Recorder()
    training.algorithm.step_count = begun
    expert._train(training, settings, find_robot("hopper"), tmp_path)  # type: ignore[arg-type]
    assert training.saved == saved


def test_an_expert_that_never_learns_is_refused() -> None:
    with pytest.raises(ValueError, match=r"random_steps \(25000\) leave none of the steps \(200\) to learn in; write"):
        ExpertSettings(steps=200)


def test_the_robot_that_was_meant_is_named(tmp_path: Path) -> None:
    settings = ExpertSettings(environment=EnvironmentSettings(id="hoper"))
    with pytest.raises(ValueError, match="hoper is not a registered robot; did you mean hopper"):
        expert.train_expert(settings, tmp_path / "expert")
