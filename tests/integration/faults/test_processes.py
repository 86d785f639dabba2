"""Processes killed and storage taken away on one machine: the run ends as if nothing had happened."""

import time
from collections.abc import Callable

import pytest

import trial_folders
from faults.record import Record
from faults.results import assert_as_undisturbed
from faults.runs import INTERVAL, STEPS, LocalRun
from faults.storage import read_only, reason_against

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.long]
AFTER = 2 * INTERVAL
"""Steps of both trials before anything happens."""


@pytest.mark.long  # `make test` kills the driver of a run below an S3 URI
@pytest.mark.parametrize(("fault", "begun"), [("driver", 2), ("driver_before_a_trial", 1)])
def test_driver(fault: str, begun: int, run: LocalRun, undisturbed: LocalRun, record: Callable[..., Record]) -> None:
    run.overrides = (f"runtime.trials_at_once={begun}",)
    run.start()
    note = record(fault, run)
    run.reach(AFTER, trials=begun)
    assert len(trial_folders.begun(run.output)) == begun
    note.strike(run.kill_driver)
    run.resume()
    note.recovered()
    note.end(resumed=True)
    assert_as_undisturbed(run.results, undisturbed.results)


@pytest.mark.long
@pytest.mark.parametrize(("fault", "title"), [("trial", "ray::ResourceTrainable"), ("bank", "ray::BankActor")])
def test_actor(fault: str, title: str, run: LocalRun, undisturbed: LocalRun, record: Callable[..., Record]) -> None:
    run.start()
    note = record(fault, run)
    run.reach(AFTER)
    note.strike(lambda: run.kill(title, most=1))
    note.recovered()
    note.end()
    assert run.trial_failures() == (fault == "trial")
    assert_as_undisturbed(run.results, undisturbed.results)


@pytest.mark.long
def test_env_runner(run: LocalRun, record: Callable[..., Record]) -> None:
    """A remote one begins new episodes when it is restarted, so the scores differ; the rows do not."""
    run.overrides = ("runtime.num_env_runners=1", "search=null")
    run.start()
    note = record("env_runner", run)
    run.reach(AFTER, trials=1)
    note.strike(lambda: run.kill("ray::PerturbedEnvRunner"))
    note.recovered()
    note.end()
    [curve] = run.results.curves().values()
    assert [row["env_steps"] for row in curve] == list(range(0, STEPS + 1, INTERVAL))
    rows = run.results.trials_of_mlflow()
    assert len(rows) == len(curve)
    assert set(rows.values()) == {1}


@pytest.mark.long
def test_read_only_storage(run: LocalRun, undisturbed: LocalRun, record: Callable[..., Record]) -> None:
    """Checkpoints and MLflow's file: both lie there."""
    reason = reason_against(run.folder)
    if reason is not None:
        pytest.skip(reason)
    with read_only(run.folder) as switch:
        run.start()
        note = record("read_only_storage", run)
        run.reach(AFTER)
        note.facts["seconds_read_only"] = 20
        note.strike(lambda: switch("ro"))
        time.sleep(20)
        switch("rw")
        note.recovered()
        note.end()
    assert run.trial_failures(), "every save went through"
    assert_as_undisturbed(run.results, undisturbed.results)
