"""Runs to disturb, the undisturbed one beside them, and the record of what became of each fault."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # pytest's importlib mode keeps it off

from fault_support.hosts import Hosts, reason_against, switched_on
from fault_support.jobs import Job
from fault_support.record import Record
from fault_support.results import Results, assert_as_undisturbed
from fault_support.runs import LocalRun, give_foundation, remounted, wait_for


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalRun]:
    run = LocalRun(tmp_path_factory.mktemp("undisturbed"))
    run.start()
    try:
        run.finish()
        yield run
    finally:
        run.end()


@pytest.fixture
def make_run(tmp_path: Path) -> Iterator[Callable[..., LocalRun]]:
    made: list[LocalRun] = []

    def make(**options: Any) -> LocalRun:
        made.append(LocalRun(tmp_path, **options))
        return made[-1]

    yield make
    for run in made:
        run.end()


@pytest.fixture(name="wait_for")
def wait_for_fixture() -> Callable[..., Any]:
    return wait_for


@pytest.fixture
def disturbed(undisturbed: LocalRun, tmp_path: Path) -> Iterator[LocalRun]:
    run = LocalRun(tmp_path)
    give_foundation(undisturbed, run.output)
    yield run
    run.end()


@pytest.fixture
def same() -> Callable[[Results, Results], None]:
    return assert_as_undisturbed


@pytest.fixture
def read_only() -> Iterator[Callable[..., None]]:
    """Makes a folder read-only for some seconds, for every process that uses it: by a mount of its own."""
    if os.geteuid() != 0:
        pytest.skip("mounting takes root")
    mounted: list[Path] = []

    def mount(folder: Path) -> None:
        subprocess.run(["mount", "--bind", folder, folder], check=True)
        mounted.append(folder)

    def strike(folder: Path, seconds: float) -> None:
        # open files keep a file system writeable, and somebody always has one open
        wait_for(lambda: remounted(folder, "ro"), 60, "a moment without open files")
        time.sleep(seconds)
        assert remounted(folder, "rw")

    strike.mount = mount  # type: ignore[attr-defined]
    yield strike
    for folder in mounted:
        remounted(folder, "rw")
        subprocess.run(["umount", "--lazy", folder], check=False)


@pytest.fixture(scope="session")
def make_hosts() -> Callable[..., Any]:
    reason = reason_against()
    if reason is not None:
        pytest.skip(reason)
    return switched_on


@pytest.fixture
def submit(undisturbed: LocalRun) -> Callable[[Hosts], Job]:
    """Makes the tiny experiment a job of some hosts, in an output folder that has the stages before the trials."""
    return lambda hosts: Job.submit(hosts, undisturbed)


@pytest.fixture
def record(request: pytest.FixtureRequest) -> Iterator[Callable[..., Record]]:
    """Makes the record of a fault; it is written whether the test passes or not."""
    made: list[Record] = []

    def make(fault: str, watched: Callable[[], dict[str, int]]) -> Record:
        made.append(Record(fault, watched))
        return made[-1]

    yield make
    for one in made:
        report = getattr(request.node, "report_of_call", None)
        one.facts["as_undisturbed"] = bool(report and report.passed)
        if report is not None and report.failed:
            one.facts["failure"] = str(report.longreprtext).splitlines()[-1][:300]
        one.write()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    report = yield
    if call.when == "call":
        item.report_of_call = report  # type: ignore[attr-defined]
    return report
