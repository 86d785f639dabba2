"""Hosts as far as one machine can have them: each with its own network, processes, mounts, name and shared memory."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

_PORT = 6380
_DASHBOARD_PORT = 8265
PATIENCE = {
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "1000",
    "RAY_health_check_failure_threshold": "3",
}
"""A node that does not answer is given up after some seconds instead of a minute."""


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


@dataclass
class Host:
    """A host on the bridge, and the Ray node on it."""

    name: str
    address: str
    folder: Path
    environment: dict[str, str]
    process: subprocess.Popen[bytes] | None = None

    def connect(self, bridge: str, router: str) -> None:
        outside = f"{self.name}o"
        _ip("netns", "add", self.name)
        _ip("link", "add", outside, "type", "veth", "peer", "name", "eth0", "netns", self.name)
        _ip("link", "set", outside, "master", bridge, "up")
        for arguments in (["link", "set", "lo", "up"], ["link", "set", "eth0", "up"]):
            _ip("-n", self.name, *arguments)
        _ip("-n", self.name, "address", "add", f"{self.address}/24", "dev", "eth0")
        _ip("-n", self.name, "route", "add", "default", "via", router)

    def start_ray(self, *options: str) -> None:
        """A Ray node, as the second process of a host that has just been switched on."""
        node = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--disable-usage-stats"]
        node += [
            f"--node-ip-address={self.address}",
            f"--temp-dir={self.folder}/ray",
            "--object-store-memory=150000000",
        ]
        # the shell is the host's first process; it stays, so that a killed raylet does not switch the host off
        script = 'mount -t tmpfs tmpfs /dev/shm && hostname "$0" && "$@"; exec sleep infinity'
        spaces = ["unshare", "--pid", "--fork", "--kill-child=KILL", "--mount-proc", "--mount", "--uts", "--ipc"]
        with (self.folder / "node.log").open("ab") as log:
            self.process = subprocess.Popen(
                ["ip", "netns", "exec", self.name, *spaces, "bash", "-c", script, self.name, *node, *options],
                env=self.environment,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    def cut_power(self) -> None:
        """All processes at once, without a word."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def unplug(self) -> None:
        _ip("link", "set", f"{self.name}o", "down")

    def plug_in(self) -> None:
        _ip("link", "set", f"{self.name}o", "up")

    def pids(self, title: str) -> list[int]:
        """Processes of this host, as numbered outside of it, whose command line contains `title`."""
        found = subprocess.run(["ip", "netns", "pids", self.name], capture_output=True, text=True, check=False)
        pids = []
        for pid in map(int, found.stdout.split()):
            try:
                command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except (FileNotFoundError, ProcessLookupError):
                continue
            if title in command:
                pids.append(pid)
        return pids

    def kill(self, title: str) -> None:
        pids = self.pids(title)
        assert pids, f"no {title} on {self.name}"
        for pid in pids:
            os.kill(pid, signal.SIGKILL)

    def remove(self) -> None:
        self.cut_power()
        for command in (["link", "delete", f"{self.name}o"], ["netns", "delete", self.name]):
            subprocess.run(["ip", *command], check=False, capture_output=True)


@dataclass
class Hosts:
    """A Ray cluster: a head without cores, and workers of one core each, with a folder that all of them share."""

    folder: Path
    storage: Path
    environment: dict[str, str]
    subnet: str
    bridge: str
    redis: int | None = None
    hosts: list[Host] = field(default_factory=list)

    @property
    def head(self) -> Host:
        return self.hosts[0]

    @property
    def workers(self) -> list[Host]:
        return self.hosts[1:]

    @property
    def url(self) -> str:
        return f"http://{self.head.address}:{_DASHBOARD_PORT}"

    def add(self) -> Host:
        """One more host, switched on and in the cluster."""
        number = len(self.hosts)
        name = f"{self.bridge}h{number}"
        folder = self.folder / f"h{number}"
        folder.mkdir()
        environment = dict(self.environment)
        if number == 0 and self.redis is not None:
            environment["RAY_REDIS_ADDRESS"] = f"{self.subnet}.1:{self.redis}"
            environment["RAY_external_storage_namespace"] = self.bridge
        host = Host(name, f"{self.subnet}.{number + 2}", folder, environment)
        host.connect(self.bridge, f"{self.subnet}.1")
        self.hosts.append(host)
        self.start_ray(host)
        return host

    def start_ray(self, host: Host) -> None:
        if host is self.head:
            dashboard = [f"--dashboard-host={host.address}", f"--dashboard-port={_DASHBOARD_PORT}"]
            host.start_ray("--head", f"--port={_PORT}", "--num-cpus=0", *dashboard)
        else:
            host.start_ray(f"--address={self.head.address}:{_PORT}", "--num-cpus=1")
        wanted = len(self.hosts)  # those that died are counted when they are back
        end = time.monotonic() + 180
        while self.living() < wanted:
            assert time.monotonic() < end, (host.folder / "node.log").read_text()[-2000:]
            time.sleep(0.5)

    def living(self) -> int:
        """Nodes that the head knows and takes to be alive; 0 while it does not answer."""
        request = urllib.request.Request(
            f"{self.url}/api/v0/nodes?limit=100&timeout=5",
            headers={"Authorization": f"Bearer {self.environment['RAY_AUTH_TOKEN']}"},
        )
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                nodes = json.load(answer)["data"]["result"]["result"]
        except OSError:
            return 0
        return sum(node["state"] == "ALIVE" for node in nodes)

    def afrl(self, *arguments: object) -> str:
        """The command, from outside of all hosts; what it prints."""
        command = [sys.executable, "-m", "afrl_ray", *map(str, arguments)]
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


@contextmanager
def switched_on(workers: int, redis: int | None = None) -> Iterator[Hosts]:
    """Switch on a head and so many workers; everything is gone afterwards. The head's state is in Redis on this
    machine's port `redis`, where that is given."""
    folder = Path(tempfile.mkdtemp(prefix="afrl", dir="/tmp"))  # sockets want short paths
    number = os.getpid() % 200 + 20
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
    cluster = Hosts(folder, storage, shared, f"10.77.{number}", f"afrl{number}", redis)
    _ip("link", "add", cluster.bridge, "type", "bridge")
    try:
        _ip("address", "add", f"{cluster.subnet}.1/24", "dev", cluster.bridge)
        _ip("link", "set", cluster.bridge, "up")
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
