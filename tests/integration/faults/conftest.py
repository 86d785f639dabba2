"""Runs to disturb, and the record of what became of each fault."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from faults.hosts import Hosts, reason_against, switched_on
from faults.record import Record
from faults.runs import Job, LocalRun, Run, give_foundation
from faults.servers import MLflowServer, mlflow_server, s3_bucket


@pytest.fixture
def run(undisturbed: LocalRun, tmp_path: Path) -> Iterator[LocalRun]:
    """A run on this machine, whose stages before the trials are done."""
    one = LocalRun(tmp_path)
    give_foundation(undisturbed, one.output)
    yield one
    one.end()


@pytest.fixture(scope="session")
def bucket() -> Iterator[Any]:
    """An S3 bucket."""
    pytest.importorskip("moto", reason="moto is in the dev extra")
    with s3_bucket() as one:
        yield one


@pytest.fixture
def mlflow(tmp_path: Path) -> Iterator[MLflowServer]:
    with mlflow_server(tmp_path) as server:
        yield server


@pytest.fixture(scope="session")
def namespaces() -> None:
    """Skips where there can be no hosts."""
    reason = reason_against()
    if reason is not None:
        pytest.skip(reason)


@pytest.fixture(scope="session")
def hosts(namespaces: None) -> Iterator[Hosts]:
    """A head and three workers; a test that breaks one mends it."""
    del namespaces
    with switched_on(workers=3) as cluster:
        yield cluster


@pytest.fixture
def job(hosts: Hosts, undisturbed: LocalRun) -> Job:
    """A job on the hosts, whose stages before the trials are done."""
    return Job.submit(hosts, undisturbed)


@pytest.fixture
def record(request: pytest.FixtureRequest) -> Iterator[Callable[[str, Run], Record]]:
    """Makes the record of a fault; it is written whether the test passes or not."""
    made: list[Record] = []

    def make(fault: str, run: Run) -> Record:
        made.append(Record(fault, run))
        return made[-1]

    yield make
    for one in made:
        report = getattr(request.node, "report_of_call", None)
        one.facts["passed"] = bool(report and report.passed)
        if report is not None and report.failed:
            one.facts["failure"] = str(report.longrepr.reprcrash.message).splitlines()[0][:300]
        one.write()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    report = yield
    if call.when == "call":
        item.report_of_call = report  # type: ignore[attr-defined]
    return report
