"""Processes killed on one machine: the run ends by itself, or after the same command, as if nothing had happened."""

import os
import signal
from typing import Any

import pytest

pytestmark = [pytest.mark.cluster, pytest.mark.slow]
AFTER = 800
"""Steps of both trials before anything happens: their second checkpoint."""


def kill(pids: list[int]) -> None:
    assert pids, "nothing to kill"
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("after", [0, AFTER])
def test_the_driver(after: int, disturbed: Any, undisturbed: Any, record: Any, same: Any) -> None:
    """With every process below it, before the first checkpoint of a trial too."""
    disturbed.start()
    note = record("driver", disturbed.steps)
    disturbed.reach(after)
    note.strike(lambda: kill([disturbed.process.pid]))
    disturbed.process.wait()
    disturbed.start()
    note.recovered()
    disturbed.finish()
    note.repeated(disturbed.output / "finetune" / "replay")
    same(disturbed.results, undisturbed.results)


@pytest.mark.long
def test_a_trials_actor(disturbed: Any, undisturbed: Any, record: Any, same: Any) -> None:
    disturbed.start()
    note = record("trial", disturbed.steps)
    disturbed.reach(AFTER)
    note.strike(lambda: kill(disturbed.workers("ray::FinetuneTrial")[:1]))
    note.recovered()
    disturbed.finish()
    note.repeated(disturbed.output / "finetune" / "replay")
    same(disturbed.results, undisturbed.results)


@pytest.mark.long
def test_the_banks_actor(disturbed: Any, undisturbed: Any, record: Any, same: Any) -> None:
    disturbed.start()
    note = record("bank", disturbed.steps)
    disturbed.reach(AFTER)
    note.strike(lambda: kill(disturbed.workers("ray::BankActor")))
    note.recovered()
    disturbed.finish()
    note.repeated(disturbed.output / "finetune" / "replay")
    same(disturbed.results, undisturbed.results)


@pytest.mark.long
def test_an_env_runner(disturbed: Any, undisturbed: Any, record: Any) -> None:
    """Remote env runners begin anew when restarted, so steps differ; the rows and their number do not."""
    disturbed.start("runtime.num_env_runners=1", "runtime.trials_at_once=1", "search=null")
    note = record("env_runner", disturbed.steps)
    disturbed.reach(AFTER, trials=1)
    note.strike(lambda: kill(disturbed.workers("ray::PerturbedEnvRunner")))
    note.recovered()
    disturbed.finish()
    note.repeated(disturbed.output / "finetune" / "replay")
    [curve] = disturbed.results.curves().values()
    assert [row["env_steps"] for row in curve] == [
        row["env_steps"] for row in next(iter(undisturbed.results.curves().values()))
    ]
    assert set(disturbed.results.trials_of_mlflow().values()) == {1}
    assert len(disturbed.results.trials_of_mlflow()) == len(curve)


@pytest.mark.long
def test_storage_that_is_read_only_for_a_while(
    disturbed: Any, undisturbed: Any, record: Any, same: Any, read_only: Any
) -> None:
    """Trials, Tune, and MLflow's file: all of them lie there."""
    read_only.mount(disturbed.folder)
    disturbed.start()
    note = record("read_only_storage", disturbed.steps)
    disturbed.reach(AFTER)
    note.strike(lambda: read_only(disturbed.folder, seconds=20))
    if disturbed.process.wait(timeout=600):
        note.facts["resumed"] = True
        disturbed.start()
        disturbed.finish()
    note.repeated(disturbed.output / "finetune" / "replay")
    same(disturbed.results, undisturbed.results)
