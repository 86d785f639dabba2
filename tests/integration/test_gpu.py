"""`afrl run` with its learners on a GPU: two trials share it, and a kill changes nothing."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import torch

from faults.results import assert_as_undisturbed
from faults.runs import INTERVAL, STEPS, LocalRun, give_foundation
from gpu import NEEDS_GPU

pytestmark = [*NEEDS_GPU, pytest.mark.slow, pytest.mark.timeout(900)]

ON_GPU = ("runtime.device=cuda", "runtime.resources.trial.gpus=0.5")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalRun]:
    """A complete run, never disturbed."""
    run = LocalRun(tmp_path_factory.mktemp("gpu"), ON_GPU)
    run.start()
    try:
        assert not run.succeed(), run.words()[-3000:]
        yield run
    finally:
        run.end()


def test_every_row_is_there_once(finished: LocalRun) -> None:
    curves = finished.results.curves()
    assert len(curves) == 2
    for curve in curves.values():
        assert [row["env_steps"] for row in curve] == list(range(0, STEPS + 1, INTERVAL))
    logged = finished.results.trials_of_mlflow()
    assert len(logged) == 2 * (STEPS // INTERVAL + 1)
    assert set(logged.values()) == {1}
    scores = pd.read_parquet(finished.output / "evaluation" / "scores.parquet")
    assert not scores.duplicated(["policy", "condition", "seed", "episode"]).any()
    assert scores["policy"].nunique() == 3
    assert (scores.groupby(["policy", "condition"]).size() == 2).all()


def test_both_trials_were_on_the_gpu_at_once(finished: LocalRun) -> None:
    saved = len(torch.Generator(device="cuda").get_state())
    states = finished.results.states()
    assert len(states) == 2
    for state in states.values():
        [learner] = [part for part in state.values() if isinstance(part, dict) and "progress" in part]
        assert len(learner["progress"]["generator"]) == saved
    with sqlite3.connect(finished.database) as database:
        query = "select start_time, end_time from runs where name like '%q=%' or name like '%beta=%'"
        begun, ended = zip(*database.execute(query), strict=True)
    assert len(begun) == 2
    assert max(begun) < min(ended)


def test_killed_and_resumed_ends_as_if_nothing_had_happened(finished: LocalRun, tmp_path: Path) -> None:
    run = LocalRun(tmp_path, ON_GPU)
    give_foundation(finished, run.output)
    try:
        run.start()
        run.reach(2 * INTERVAL)
        run.kill_driver()
        run.resume()
        run.succeed()
        assert_as_undisturbed(run.results, finished.results)
    finally:
        run.end()
