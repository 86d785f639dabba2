"""The tracking server away for a while: training goes on, and every row arrives once."""

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.cluster, pytest.mark.slow]
AFTER = 800


@dataclass
class Server:
    """`mlflow server` on a SQLite file, which can be killed and started again."""

    folder: Path
    port: int
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def database(self) -> Path:
        return self.folder / "server.db"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", f"sqlite:///{self.database}"]
        command += [
            "--artifacts-destination",
            str(self.folder / "artifacts"),
            "--port",
            str(self.port),
            "--workers",
            "1",
        ]
        environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
        self.processes.append(
            subprocess.Popen(
                command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
            )
        )
        end = time.monotonic() + 120
        while True:
            try:
                urllib.request.urlopen(f"{self.url}/health", timeout=2).close()
                return
            except OSError:
                assert time.monotonic() < end, "mlflow server did not start"
                time.sleep(0.3)

    def kill(self) -> None:
        while self.processes:
            process = self.processes.pop()
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    one = Server(tmp_path, 22_000 + os.getpid() % 1000)
    one.start()
    yield one
    one.kill()


@pytest.fixture
def tracked(disturbed: Any, server: Server) -> Any:
    disturbed.environment["MLFLOW_TRACKING_URI"] = server.url
    return disturbed


def unsent(run: Any) -> list[Path]:
    return list((run.output / "unsent").rglob("*.json"))


def test_an_outage_and_a_killed_driver_lose_nothing(
    tracked: Any, server: Server, undisturbed: Any, record: Any, same: Any, wait_for: Any
) -> None:
    """The server goes first, then the driver that kept what it could not send; the server is back before the end."""
    tracked.start()
    note = record("mlflow_outage", tracked.steps)
    tracked.reach(AFTER)
    note.strike(server.kill)
    note.recovered()
    wait_for(lambda: unsent(tracked), what="entries on disk")
    os.kill(tracked.process.pid, signal.SIGKILL)
    tracked.process.wait()
    tracked.start()
    note.facts["seconds_without_server"] = 20
    time.sleep(20)
    server.start()
    tracked.finish()
    note.repeated(tracked.output / "finetune" / "replay")
    assert unsent(tracked) == []
    same(tracked.results_beside(server.database), undisturbed.results)


@pytest.mark.long
def test_a_server_that_is_back_after_the_end_gets_everything_from_the_same_command(
    tracked: Any, server: Server, undisturbed: Any, record: Any, same: Any
) -> None:
    tracked.start()
    note = record("mlflow_lost_until_the_end", tracked.steps)
    tracked.reach(AFTER)
    note.strike(server.kill)
    tracked.finish()
    assert "the same command sends them" in tracked.words()
    assert unsent(tracked)
    server.start()
    tracked.start()
    tracked.finish()
    assert unsent(tracked) == []
    same(tracked.results_beside(server.database), undisturbed.results)
