"""A host as far as one machine can have it: with its own network, processes, mounts, name and shared memory."""

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

_SWITCH_ON = """
set -e
mount -t tmpfs tmpfs /dev/shm
hostname "$0"
mount --bind "$1/hosts" /etc/hosts
mount --bind "$1/resolv.conf" /etc/resolv.conf
"${@:2}" || true
exec sleep infinity
"""
"""What a host's first process does. It stays, so that a killed raylet does not switch the host off."""


def ip(*arguments: str) -> None:
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
        ip("netns", "add", self.name)
        ip("link", "add", outside, "type", "veth", "peer", "name", "eth0", "netns", self.name)
        ip("link", "set", outside, "master", bridge, "up")
        for arguments in (["link", "set", "lo", "up"], ["link", "set", "eth0", "up"]):
            ip("-n", self.name, *arguments)
        ip("-n", self.name, "address", "add", f"{self.address}/24", "dev", "eth0")
        ip("-n", self.name, "route", "add", "default", "via", router)

    def start_ray(self, *options: str) -> None:
        """A Ray node, as the second process of a host that has just been switched on."""
        node = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--disable-usage-stats"]
        node += [
            f"--node-ip-address={self.address}",
            f"--temp-dir={self.folder}/ray",
            "--object-store-memory=150000000",
        ]
        (self.folder / "hosts").write_text(f"127.0.0.1 localhost\n{self.address} {self.name}\n")
        (self.folder / "resolv.conf").touch()  # no name server, instead of one that never answers
        arguments = [self.name, str(self.folder), *node, *options]
        spaces = ["unshare", "--pid", "--fork", "--kill-child=KILL", "--mount-proc", "--mount", "--uts", "--ipc"]
        with (self.folder / "node.log").open("ab") as log:
            self.process = subprocess.Popen(
                ["ip", "netns", "exec", self.name, *spaces, "bash", "-c", _SWITCH_ON, *arguments],
                env=self.environment,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    def gave_up(self) -> bool:
        """Whether `ray start` has ended."""
        return bool(self.pids("sleep infinity "))  # with the end of an argument: the shell has it in its script

    def cut_power(self) -> None:
        """All processes at once, without a word."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def unplug(self) -> None:
        ip("link", "set", f"{self.name}o", "down")

    def plug_in(self) -> None:
        ip("link", "set", f"{self.name}o", "up")

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
