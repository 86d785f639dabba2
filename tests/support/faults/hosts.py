"""A Ray cluster on hosts of its own, as far as one machine can have them."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from experiments import afrl_command
from faults.host import Host, ip

_PORT = 6380
_DASHBOARD_PORT = 8265
_ATTEMPTS = 4
PATIENCE = {
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "1000",
    "RAY_health_check_failure_threshold": "3",
}
"""A node that does not answer is given up after some seconds instead of a minute."""


@dataclass
class Hosts:
    """A Ray cluster: a head without cores, and workers of two cores each, with a folder that all of them share."""

    folder: Path
    storage: Path
    environment: dict[str, str]
    subnet: str
    bridge: str
    redis: int | None = None
    of_nodes: Mapping[str, str] = field(default_factory=dict)
    """What only Ray's nodes have in their environment."""
    hosts: list[Host] = field(default_factory=list)
    jobs: list[int] = field(default_factory=list)

    @property
    def head(self) -> Host:
        return self.hosts[0]

    @property
    def workers(self) -> list[Host]:
        return self.hosts[1:]

    @property
    def router(self) -> str:
        """This machine, as the hosts see it."""
        return f"{self.subnet}.1"

    @property
    def url(self) -> str:
        return f"http://{self.head.address}:{_DASHBOARD_PORT}"

    def add(self) -> Host:
        """One more host, switched on and in the cluster."""
        number = len(self.hosts)
        name = f"{self.bridge}h{number}"
        folder = self.folder / f"h{number}"
        folder.mkdir()
        environment = {**self.environment, "AFRL_SCRATCH": str(folder / "scratch"), **self.of_nodes}
        if number == 0 and self.redis is not None:
            environment["RAY_REDIS_ADDRESS"] = f"{self.router}:{self.redis}"
            environment["RAY_external_storage_namespace"] = self.bridge
        host = Host(name, f"{self.subnet}.{number + 2}", folder, environment)
        host.connect(self.bridge, self.router)
        self.hosts.append(host)
        self.start_ray(host)
        return host

    def start_ray(self, host: Host) -> None:
        """Start the Ray node of a host, again if a busy machine did not let it begin in time."""
        if host is self.head:
            dashboard = [f"--dashboard-host={host.address}", f"--dashboard-port={_DASHBOARD_PORT}"]
            options = ["--head", f"--port={_PORT}", "--num-cpus=0", *dashboard]
        else:
            options = [f"--address={self.head.address}:{_PORT}", "--num-cpus=2"]
        before = self.living(host)
        for _ in range(_ATTEMPTS):
            host.start_ray(*options)
            end = time.monotonic() + 120
            while time.monotonic() < end and not host.gave_up():
                if self.living(host) - before:
                    return
                time.sleep(0.5)
            host.cut_power()
        raise AssertionError((host.folder / "node.log").read_text()[-2000:])

    def request(self, path: str) -> Any:
        """What the head answers."""
        headers = {"Authorization": f"Bearer {self.environment['RAY_AUTH_TOKEN']}"}
        with urllib.request.urlopen(urllib.request.Request(f"{self.url}{path}", headers=headers), timeout=30) as answer:
            return json.load(answer)

    def living(self, host: Host) -> set[str]:
        """Ids of the nodes on a host that the head takes to be alive; none while it does not answer."""
        return {one["node_id"] for one in self._nodes() if one["state"] == "ALIVE" and one["node_ip"] == host.address}

    def given_up(self, nodes: set[str]) -> bool:
        """Whether the head takes all these nodes to be dead; not while it does not answer."""
        return nodes <= {one["node_id"] for one in self._nodes() if one["state"] == "DEAD"}

    def _nodes(self) -> list[dict[str, Any]]:
        try:
            nodes: list[dict[str, Any]] = self.request("/api/v0/nodes?limit=1000&timeout=5")["data"]["result"]["result"]
        except (OSError, KeyError, TypeError):
            return []
        return nodes

    def attempt(self, job_id: str) -> str:
        """The submission id of a job's last attempt."""
        attempts = [one["submission_id"] for one in self.request("/api/jobs/") if one["submission_id"]]
        return str(max((one for one in attempts if one.split(".")[0] == job_id), key=len))

    def worker_of_a_trial(self) -> Host:
        return next(host for host in self.workers if host.pids("ray::ResourceTrainable"))

    def mend(self, host: Host) -> None:
        """Switch a host off, if it is on, and on again."""
        host.cut_power()
        host.plug_in()
        self.start_ray(host)

    def afrl(self, *arguments: object) -> str:
        """The command, from outside of all hosts; what it prints."""
        command = afrl_command(*arguments)
        done = subprocess.run(
            command,
            env=self.environment | {"RAY_API_SERVER_ADDRESS": self.url},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


def _add_bridge() -> int:
    """The number of a new bridge, the first that no other cluster of this machine has."""
    for number in range(20, 250):
        command = ["ip", "link", "add", f"afrl{number}", "type", "bridge"]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode == 0:
            return number
        assert "File exists" in done.stderr, done.stderr
    raise AssertionError("there are 230 bridges of killed test runs: delete them and their hosts (ip link, ip netns)")


@contextmanager
def switched_on(
    workers: int, redis: int | None = None, of_nodes: Callable[[str], Mapping[str, str]] | None = None
) -> Iterator[Hosts]:
    """Switch on a head and so many workers; everything is gone afterwards. The head's state is in Redis on this
    machine's port `redis`, where that is given; `of_nodes` says what the nodes' environment has besides, given this
    machine's address."""
    folder = Path(tempfile.mkdtemp(prefix="afrl", dir="/tmp"))  # sockets want short paths
    storage = folder / "storage"
    storage.mkdir()
    shared = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    shared |= {
        "PYTHONPATH": os.pathsep.join(sys.path),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "OMP_NUM_THREADS": "1",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": os.urandom(16).hex(),
        "AFRL_STORAGE": str(storage),
        **PATIENCE,
    }
    number = _add_bridge()
    cluster = Hosts(folder, storage, shared, f"10.77.{number}", f"afrl{number}", redis)
    try:
        cluster.of_nodes = of_nodes(cluster.router) if of_nodes else {}
        ip("address", "add", f"{cluster.router}/24", "dev", cluster.bridge)
        ip("link", "set", cluster.bridge, "up")
        for _ in range(1 + workers):
            cluster.add()
        yield cluster
    finally:
        for host in reversed(cluster.hosts):
            host.remove()
        subprocess.run(["ip", "link", "delete", cluster.bridge], check=False, capture_output=True)
        shutil.rmtree(folder, ignore_errors=True)


def reason_against() -> str | None:
    """Why this machine cannot have hosts; None where it can."""
    if os.geteuid() != 0 or shutil.which("ip") is None or shutil.which("unshare") is None:
        return "network namespaces take root, ip and unshare"
    name = f"afrl-try-{os.getpid()}"
    if subprocess.run(["ip", "netns", "add", name], check=False, capture_output=True).returncode:
        return "this machine gives no network namespaces"
    subprocess.run(["ip", "netns", "delete", name], check=False)
    return None
