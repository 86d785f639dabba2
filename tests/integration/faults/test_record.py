"""What the tests of faults demand, on results made by hand: each of these would be a fault that went unnoticed."""

import sqlite3
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from faults import record as module
from faults.hosts import Hosts
from faults.record import Record
from faults.results import Results
from faults.runs import INTERVAL, OFFLINE_ROWS, STEPS, Run

TRIAL = "trial_a_00000"


@dataclass
class Rehearsal(Run):
    """A run of one trial whose files are what a test says they are."""

    checkpoint: int = 2 * INTERVAL
    files: set[str] = field(default_factory=set)

    def steps(self) -> dict[str, int]:
        return {TRIAL: self.checkpoint}

    def rows_files(self, trial: str) -> set[str]:
        assert trial == TRIAL
        return set(self.files)

    def write(self, steps: int) -> None:
        self.files.add(f"rows-{OFFLINE_ROWS + steps:010d}-{len(self.files):08x}.npy")

    def over(self) -> str:
        return "SUCCEEDED"

    def resume(self) -> None:
        raise AssertionError("it has succeeded")

    def words(self) -> str:
        return ""


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Rehearsal:
    monkeypatch.setattr(module, "_SETTLED", 0.0)
    one = Rehearsal()
    for steps in (0, INTERVAL):
        one.write(steps)
    return one


def struck(run: Rehearsal, *later: int) -> Record:
    note = Record("fault", run)
    note.strike(lambda: None)
    for steps in later:
        run.write(steps)
    return note


def test_going_on_from_the_last_checkpoint_is_right(run: Rehearsal) -> None:
    note = struck(run, 2 * INTERVAL, 3 * INTERVAL)
    note.end()
    assert note.facts["whole_intervals_repeated"] == 0
    assert note.facts["checkpoints_at_fault"] == [2 * INTERVAL]


@pytest.mark.parametrize(("began", "intervals"), [(2 * INTERVAL - 1, 1), (INTERVAL, 1), (0, 2)])
def test_more_than_the_steps_since_the_last_checkpoint_is_noticed(began: int, intervals: int, run: Rehearsal) -> None:
    note = struck(run, began, 2 * INTERVAL)
    with pytest.raises(AssertionError, match="were repeated"):
        note.end()
    assert note.facts["whole_intervals_repeated"] == intervals


def test_a_trial_that_wrote_nothing_more_is_noticed(run: Rehearsal) -> None:
    with pytest.raises(AssertionError, match="wrote no rows after the fault"):
        struck(run).end()
    run.checkpoint = STEPS
    struck(run).end()


def test_the_harm_comes_when_no_checkpoint_is_new(run: Rehearsal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SETTLED", 2.0)
    now = 100.0
    seen: list[float] = []

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds
        if now > 101 and run.checkpoint == 2 * INTERVAL:
            run.checkpoint += INTERVAL

    monkeypatch.setattr(module.time, "monotonic", lambda: now)
    monkeypatch.setattr(module.time, "sleep", sleep)
    Record("fault", run).strike(lambda: seen.append(now))
    assert seen[0] == pytest.approx(103.1, abs=0.11)


def test_every_run_of_a_name_counts(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "mlflow.db") as database:
        database.execute("create table runs (name text, status text)")
        rows = [("fixed q=0.5 (a1)", "FINISHED"), ("fixed q=0.5 (b2)", "RUNNING"), ("tiny", "FINISHED")]
        database.executemany("insert into runs values (?, ?)", rows)
    results = Results(tmp_path, tmp_path / "mlflow.db")
    assert results.ended() == {"fixed q=0.5": ["FINISHED", "RUNNING"], "tiny": ["FINISHED"]}


@pytest.mark.parametrize(
    ("answer", "given_up"),
    [([("a", "DEAD"), ("b", "ALIVE")], True), ([("a", "ALIVE")], False), ([("b", "DEAD")], False), (None, False)],
)
def test_a_node_is_given_up_when_the_head_says_so(answer: list[tuple[str, str]] | None, given_up: bool) -> None:
    def request(_path: str) -> Any:
        if answer is None:
            raise OSError("no answer")
        nodes = [{"node_id": node, "state": state, "node_ip": "10.0.0.2"} for node, state in answer]
        return {"data": {"result": {"result": nodes}}}

    hosts = Hosts(Path(), Path(), {}, "10.0.0", "bridge")
    hosts.request = request  # type: ignore[method-assign]
    assert hosts.given_up({"a"}) is given_up
    host: Any = SimpleNamespace(address="10.0.0.2")
    assert hosts.living(host) == {node for node, state in answer or [] if state == "ALIVE"}
