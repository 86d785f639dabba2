"""Tune's hooks in the order in which Tune calls them."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from afrl_ray.config import ExperimentSettings
from afrl_ray.pipeline.runs.trial_board import TrialBoard
from afrl_ray.telemetry.board import board

RESULT = {
    "env_steps": 100,
    "q": 0.5,
    "score": {"normal": 90.0, "mean": 80.0},
    "score_mean": 80.0,
    "best_score": 85.0,
    "smoothed_score": None,
    "steps_per_second": 170.0,
}


@pytest.fixture(autouse=True)
def clean_board() -> Iterator[None]:
    board.clear()
    yield
    board.clear()


def make_trial(trial_id: str, status: str = "PENDING", **attributes: Any) -> Any:
    base = ExperimentSettings().model_dump(mode="json")
    run = {"base": base, "key": trial_id, "name": f"name of {trial_id}"}
    config = {"run": run, "drawn": {"finetune.steps": 20_000}}
    fields = {"trial_id": trial_id, "status": status, "config": config, "last_result": None, "error_file": None}
    return SimpleNamespace(**{**fields, **attributes})


def name(config: Mapping[str, Any]) -> str:
    return str(config["run"]["name"])


def test_a_trial_from_its_start_to_its_end() -> None:
    trials = [make_trial("a_0"), make_trial("a_1")]
    hooks = TrialBoard(name, total=4)
    hooks.on_trial_start(0, trials, trials[0])
    assert [(trial.id, trial.status) for trial in board.report().trials] == [("a_0", "running"), ("a_1", "waiting")]
    assert board.report().queues["trials"] == 3
    hooks.on_trial_result(1, trials, trials[0], RESULT)
    shown = board.report().trials[0]
    assert (shown.name, shown.env_steps, shown.wanted_steps) == ("name of a_0", 100, 20_000)
    assert (shown.q, shown.score["mean"], shown.best_score, shown.steps_per_second) == (0.5, 80.0, 85.0, 170.0)
    hooks.on_trial_complete(2, trials, trials[0])
    assert board.report().trials[0].status == "finished"


def test_a_failure_is_counted_with_the_last_line_of_its_error(tmp_path: Path) -> None:
    error = tmp_path / "error.txt"
    error.write_text("Failure # 1\nTraceback ...\nray.exceptions.ActorDiedError: killed\n")
    trial = make_trial("a_0", "RUNNING", error_file=str(error), last_result=RESULT)
    hooks = TrialBoard(name, total=1)
    hooks.on_trial_start(0, [trial], trial)
    hooks.on_trial_recover(1, [trial], trial)
    [shown] = board.report().trials
    assert (shown.status, shown.failures, shown.env_steps) == ("waiting", 1, 100)
    [failure] = board.report().failures
    assert (failure.kind, failure.trial, failure.message) == ("trial", "a_0", "ray.exceptions.ActorDiedError: killed")
    hooks.on_trial_error(2, [trial], trial)
    assert (board.report().trials[0].status, board.report().trials[0].failures) == ("failed", 2)


def test_env_runners_that_were_lost_are_failures_of_their_trial() -> None:
    trial = make_trial("a_0", "RUNNING")
    hooks = TrialBoard(name, total=1)
    for lost in (0, 2, 2, 0, 1):  # then the trial was started again
        hooks.on_trial_result(1, [trial], trial, {**RESULT, "lost_env_runners": lost})
    told = [(failure.kind, failure.trial, failure.message) for failure in board.report().failures]
    assert told == [(("env runner"), "a_0", f"{lost} lost, and started again") for lost in (2, 1)]
    assert board.report().trials[0].failures == 2


def test_trials_that_ended_before_a_restart_are_shown_with_their_last_result() -> None:
    ended, again = make_trial("a_0", "TERMINATED", last_result=RESULT), make_trial("a_1")
    TrialBoard(name, total=2).on_trial_start(0, [ended, again], again)
    assert [(trial.status, trial.best_score) for trial in board.report().trials] == [
        ("finished", 85.0),
        ("running", None),
    ]


def test_nothing_that_goes_wrong_here_ends_the_sweep(caplog: pytest.LogCaptureFixture) -> None:
    trial = make_trial("a_0")
    TrialBoard(name, total=1).on_trial_result(0, [trial], trial, {"no": "q"})
    assert "could not be written down" in caplog.text
