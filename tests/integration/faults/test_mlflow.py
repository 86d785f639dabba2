"""The tracking server away for a while: training goes on, and every row arrives once."""

import time
from collections.abc import Callable

import pytest

from faults.record import Record
from faults.results import assert_as_undisturbed
from faults.runs import INTERVAL, LocalRun, wait_for
from faults.servers import MLflowServer

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.long]
AFTER = 2 * INTERVAL


@pytest.fixture
def tracked(run: LocalRun, mlflow: MLflowServer) -> LocalRun:
    run.track_in(mlflow)
    return run


@pytest.mark.long  # `make test` does both to a run below an S3 URI
def test_outage_and_killed_driver(
    tracked: LocalRun, mlflow: MLflowServer, undisturbed: LocalRun, record: Callable[..., Record]
) -> None:
    """The server goes first, then the driver that kept what it could not send; the server is back before the end."""
    tracked.start()
    note = record("mlflow_and_driver", tracked)
    tracked.reach(AFTER)
    note.strike(mlflow.kill)
    wait_for(lambda: tracked.unsent(), "entries on disk")
    tracked.kill_driver()
    tracked.resume()
    note.recovered()
    mlflow.start()
    note.end(resumed=True)
    assert tracked.unsent() == []
    assert_as_undisturbed(tracked.results, undisturbed.results)


@pytest.mark.long
def test_outage_of_a_minute(
    tracked: LocalRun, mlflow: MLflowServer, undisturbed: LocalRun, record: Callable[..., Record]
) -> None:
    """It may last longer than what is left of the training: the end waits for the server."""
    tracked.start()
    note = record("mlflow", tracked)
    tracked.reach(AFTER)
    note.strike(mlflow.kill)
    begin = time.time()
    note.recovered()
    wait_for(lambda: tracked.unsent(), "entries on disk")
    time.sleep(max(0.0, 60 - (time.time() - begin)))
    mlflow.start()
    note.end()
    assert not note.facts["resumed"]
    assert tracked.unsent() == []
    assert_as_undisturbed(tracked.results, undisturbed.results)
