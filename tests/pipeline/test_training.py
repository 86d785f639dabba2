import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from afrl_ray.networks import Policy
from afrl_ray.pipeline.artifacts import read_json, write_json
from afrl_ray.pipeline.training import BEST_POLICY, RECORD, Training, crosses

STEPS_PER_ITERATION = 30


class CountingAlgorithm:
    """Trains by counting; its policy at a step is one that no other step has."""

    def __init__(self) -> None:
        self.step_count = 0

    def train(self) -> dict[str, Any]:
        self.step_count += STEPS_PER_ITERATION
        return {"steps": self.step_count}

    def evaluation_policy(self) -> Policy:
        torch.manual_seed(self.step_count)
        return Policy(3, -np.ones(2), np.ones(2), (4,))

    def save_to_path(self, path: Path) -> None:
        write_json(path / "count.json", self.step_count)

    def restore_from_path(self, path: Path) -> None:
        self.step_count = read_json(path / "count.json")


def make_training() -> Training:
    return Training(CountingAlgorithm())  # type: ignore[arg-type]


def fingerprint(step: int) -> str:
    algorithm = CountingAlgorithm()
    algorithm.step_count = step
    return algorithm.evaluation_policy().fingerprint()


def test_it_advances_to_the_step_or_just_over_it() -> None:
    training, seen = make_training(), []
    assert training.advance(60, seen.append) == {"steps": 60}
    assert training.advance(100) == {"steps": 120}
    assert training.advance(120) == {}  # nothing left to do
    assert seen == [30, 60]


def test_the_best_policy_is_the_one_of_the_highest_score() -> None:
    training, answers = make_training(), []
    for score in (10.0, 30.0, 20.0, 30.0, 31.0):
        training.advance(training.algorithm.step_count + 30)
        answers.append(training.record({"normal": score}, score))
    assert answers == [True, True, False, False, True]  # a tie keeps the earlier one
    assert training.best is not None
    assert (training.best.score, training.best.step) == (31.0, 150)
    assert training.best.policy.fingerprint() == fingerprint(150)
    assert training.curve == [
        {"step": 30 * (index + 1), "normal": score} for index, score in enumerate((10.0, 30.0, 20.0, 30.0, 31.0))
    ]


@pytest.mark.parametrize("scores", [(5.0, math.nan), (math.nan, 5.0), (math.nan, math.nan, 5.0, math.nan)])
def test_a_score_that_is_no_number_never_wins(scores: tuple[float, ...]) -> None:
    training = make_training()
    for score in scores:
        training.record({}, score)
    assert training.best is not None
    assert training.best.score == 5.0


def test_everything_comes_back(tmp_path: Path) -> None:
    training = make_training()
    for score in (10.0, 5.0):
        training.advance(training.algorithm.step_count + 30)
        training.record({"normal": score, "q": 0.5}, score)
    training.save(tmp_path / "saved")

    loaded = Training.load(CountingAlgorithm(), tmp_path / "saved")  # type: ignore[arg-type]
    assert loaded is not None
    assert loaded.algorithm.step_count == 60
    assert loaded.curve == training.curve
    assert loaded.best is not None
    assert (loaded.best.score, loaded.best.step) == (10.0, 30)
    assert loaded.best.policy.fingerprint() == fingerprint(30)
    assert (Training.saved_algorithm(tmp_path / "saved") / "count.json").is_file()


def test_before_the_first_evaluation_there_is_no_best(tmp_path: Path) -> None:
    make_training().save(tmp_path / "saved")
    assert not (tmp_path / "saved" / BEST_POLICY).exists()
    loaded = Training.load(CountingAlgorithm(), tmp_path / "saved")  # type: ignore[arg-type]
    assert loaded is not None
    assert loaded.best is None
    assert loaded.curve == []


def test_nothing_saved_is_none(tmp_path: Path) -> None:
    assert Training.load(CountingAlgorithm(), tmp_path / "nothing") is None  # type: ignore[arg-type]


def test_saving_again_replaces_the_last_save_whole(tmp_path: Path) -> None:
    training = make_training()
    training.record({}, 1.0)
    training.save_atomically(tmp_path / "saved")
    (tmp_path / ".saved.new").mkdir()  # left by a save that was killed
    (tmp_path / ".saved.new" / "half").touch()
    training.advance(60)
    training.save_atomically(tmp_path / "saved")
    assert [entry.name for entry in tmp_path.iterdir()] == ["saved"]
    assert not (tmp_path / "saved" / "half").exists()
    assert read_json(tmp_path / "saved" / RECORD)["step"] == 60


def test_a_save_that_was_killed_between_its_renames_is_found(tmp_path: Path) -> None:
    training = make_training()
    training.advance(60)
    training.save(tmp_path / ".saved.previous")
    loaded = Training.load(CountingAlgorithm(), tmp_path / "saved")  # type: ignore[arg-type]
    assert loaded is not None
    assert loaded.algorithm.step_count == 60


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [(0, 9, False), (0, 10, True), (9, 11, True), (10, 19, False), (10, 20, True), (5, 35, True), (10, 10, False)],
)
def test_an_interval_is_crossed_once(before: int, after: int, expected: bool) -> None:
    assert crosses(10, before, after) is expected
