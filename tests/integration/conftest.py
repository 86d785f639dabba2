"""The tiny experiment, undisturbed; and a Ray cluster of several nodes as `cluster/local.sh` starts it."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from experiments import afrl_command
from faults.runs import LocalRun

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalRun]:
    """One of each test run; or the one that AFRL_UNDISTURBED names, made there if it is not."""
    given = os.environ.get("AFRL_UNDISTURBED")
    run = LocalRun(Path(given) if given else tmp_path_factory.mktemp("undisturbed"))
    try:
        if not (run.output / "evaluation" / "manifest.json").exists():
            run.folder.mkdir(parents=True, exist_ok=True)
            run.start()
            run.succeed()
        yield run
    finally:
        run.end()


@dataclass(frozen=True)
class LocalCluster:
    """A running one, and who may talk to it."""

    url: str
    token: str
    storage: Path
    environment: dict[str, str]

    def afrl(self, *arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
        """The command, in a process of its own that knows cluster and token unless `environment` says otherwise."""
        return subprocess.run(
            afrl_command(*arguments),
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )

    def start(self, *arguments: object) -> subprocess.Popen[str]:
        """The command under way, whose words can be read line by line; it heeds Ctrl-C, also where pytest does not."""
        return subprocess.Popen(
            afrl_command(*arguments),
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )

    def afrl_json(self, *arguments: object) -> Any:
        """What the command prints with --json, after it has succeeded."""
        done = self.afrl(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def request(self, method: str, path: str, content: Any = None) -> Any:
        """A plain request to Ray's API."""
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        data = json.dumps(content).encode() if content is not None else None
        request = urllib.request.Request(f"{self.url}{path}", data, headers, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)


@pytest.fixture(scope="session")
def local_cluster() -> Iterator[LocalCluster]:
    """A head and a worker of one core each; the worker has one `slot` besides."""
    with tempfile.TemporaryDirectory(prefix="afrl", dir="/tmp") as state:  # sockets want short paths
        settings = {
            "STATE": state,
            "WORKERS": "1",
            "RESOURCES": '{"slot": 1}',
            "PYTHON": sys.executable,
            "PORT": str(_free_port(20_000)),
            "DASHBOARD_PORT": str(_free_port(25_000)),
            "PYTHONPATH": os.pathsep.join(sys.path),
        }
        log = Path(state) / "local.log"
        with log.open("w") as output:
            process = subprocess.Popen(
                [ROOT / "cluster" / "local.sh"], env={**os.environ, **settings}, stdout=output, stderr=output
            )
        try:
            _wait(lambda: "ready" in log.read_text().splitlines() or process.poll() is not None)
            assert process.poll() is None, log.read_text()
            token = (Path(state) / "token").read_text()
            assert (Path(state) / "token").stat().st_mode & 0o077 == 0
            url = f"http://127.0.0.2:{settings['DASHBOARD_PORT']}"
            environment = {
                **{name: value for name, value in os.environ.items() if not name.startswith("RAY_")},
                "PYTHONPATH": settings["PYTHONPATH"],
                "RAY_API_SERVER_ADDRESS": url,
                "RAY_AUTH_TOKEN": token,
            }
            yield LocalCluster(url, token, Path(state) / "storage", environment)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=60)


def _free_port(first: int) -> int:
    """A free port of the thousands from `first` on, none of which Ray's workers take."""
    for port in range(first + os.getpid() % 1000, first + 5000):
        with socket.socket() as candidate:
            try:
                candidate.bind(("127.0.0.2", port))
            except OSError:
                continue
            return port
    raise RuntimeError("no port is free")


def _wait(condition: Any, seconds: float = 300.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.2)
