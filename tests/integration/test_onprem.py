"""cluster/onprem.yaml on three hosts: `ray up` over SSH, a job through a tunnel, `ray down`.

A host is a set of namespaces (network, processes, mounts, name, IPC) with an sshd in it. Its home folder, /tmp/ray,
/dev/shm and /mnt are its own, the rest of the file system is this machine's.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from experiments import tiny_experiment
from trial_folders import checkpoints

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.long]

ROOT = Path(__file__).parents[2]
PROGRAMS = ("sshd", "ssh", "rsync", "ip", "unshare", "ssh-keygen")
NETWORK = "10.77.0"
CONFIG = tiny_experiment("search: {space: {seed: [0, 1]}}", steps=400)

INIT = """
set -e
hostname {name}
mount --make-rprivate /
mount -t tmpfs -o size=1g tmpfs /dev/shm
mkdir -p /tmp/ray && mount --bind {folder}/ray /tmp/ray
mount -t tmpfs tmpfs /mnt && mkdir /mnt/afrl && mount --bind {shared} /mnt/afrl
mount -t tmpfs tmpfs /run && mkdir -p /run/sshd
mount --bind {passwd} /etc/passwd
{keep}
mount --rbind {folder}/root /root
exec {sshd} -D -e -f {settings}
"""

SSHD = """
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/key.pub
PidFile none
UsePAM no
StrictModes no
PermitRootLogin prohibit-password
PasswordAuthentication no
SetEnv PATH={path} LD_LIBRARY_PATH={libraries} PYTHONPATH=
"""


@dataclass
class Hosts:
    """Three of them; the first one is to be the head."""

    folder: Path
    shared: Path
    key: Path
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def addresses(self) -> list[str]:
        return [f"{NETWORK}.{11 + index}" for index in range(3)]

    @property
    def ssh(self) -> list[str]:
        options = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR")
        return ["ssh", "-i", str(self.key), *(word for option in options for word in ("-o", option))]

    def run(self, index: int, *command: str) -> str:
        """Output of `command` on a host."""
        call = [*self.ssh, f"root@{self.addresses[index]}", *command]
        return subprocess.run(call, capture_output=True, text=True, check=True, timeout=60).stdout


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[Hosts]:
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing or os.geteuid() != 0:
        pytest.skip(f"needs root, and on PATH: {', '.join(missing) or 'nothing more'}")
    folder, shared = tmp_path / "hosts", tmp_path / "shared"
    for one in (folder, shared):
        one.mkdir()
    for name in ("key", "host_key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    (folder / "passwd").write_text(Path("/etc/passwd").read_text() + "sshd:x:104:65534::/run/sshd:/usr/sbin/nologin\n")
    libraries = os.environ.get("LD_LIBRARY_PATH", "")
    settings = SSHD.format(folder=folder, path=os.environ["PATH"], libraries=libraries)
    (folder / "sshd_config").write_text(settings)
    download = [sys.executable, "-m", "pip", "download", "--quiet", "--dest", folder / "wheels", "setuptools>=77"]
    if subprocess.run(download, check=False).returncode != 0:
        pytest.skip("setuptools, which the package is built with, could not be downloaded")
    found = Hosts(folder, shared, folder / "key")
    try:
        run("ip", "link", "add", "afrl-test", "type", "bridge")
        run("ip", "addr", "add", f"{NETWORK}.1/24", "dev", "afrl-test")
        run("ip", "link", "set", "afrl-test", "up")
        for index, address in enumerate(found.addresses):
            found.processes.append(start_host(found, index, address))
        for address in found.addresses:
            wait_for(lambda address=address: answers(address, 22))
        yield found
    finally:
        for process in found.processes:  # its child is the first process of the host: with it all others end
            process.send_signal(signal.SIGKILL)
            process.wait()
        for index in range(3):
            for words in (["link", "del", f"afrl-test{index}"], ["netns", "del", f"afrl-test-{index}"]):
                subprocess.run(["ip", *words], check=False, stderr=subprocess.DEVNULL)
        subprocess.run(["ip", "link", "del", "afrl-test"], check=False, stderr=subprocess.DEVNULL)


def start_host(hosts: Hosts, index: int, address: str) -> subprocess.Popen[bytes]:
    name, folder = f"afrl-test-{index}", hosts.folder / f"host-{index}"
    for part in ("root", "ray"):
        (folder / part).mkdir(parents=True)
    make_environment(folder / "root", hosts.folder / "wheels")
    run("ip", "netns", "add", name)
    run("ip", "link", "add", f"afrl-test{index}", "type", "veth", "peer", "name", "eth0", "netns", name)
    run("ip", "link", "set", f"afrl-test{index}", "master", "afrl-test", "up")
    run("ip", "-n", name, "addr", "add", f"{address}/24", "dev", "eth0")
    for device in ("eth0", "lo"):
        run("ip", "-n", name, "link", "set", device, "up")
    # Ray takes the address that the default route begins with
    run("ip", "-n", name, "route", "add", "default", "via", f"{NETWORK}.1")
    script = folder / "init.sh"
    files = {"passwd": hosts.folder / "passwd", "settings": hosts.folder / "sshd_config"}
    kept = {Path(prefix) for prefix in (sys.base_prefix, sys.prefix) if Path(prefix).is_relative_to("/root")}
    places = {prefix: folder / "root" / prefix.relative_to("/root") for prefix in kept}  # else they would be hidden
    keep = "\n".join(f"mkdir -p {place} && mount --bind {prefix} {place}" for prefix, place in places.items())
    script.write_text(
        INIT.format(name=name, folder=folder, shared=hosts.shared, sshd=shutil.which("sshd"), keep=keep, **files)
    )
    isolated = ["unshare", "--pid", "--fork", "--kill-child=KILL", "--mount-proc", "--mount", "--uts", "--ipc"]
    with (folder / "host.log").open("w") as log:
        return subprocess.Popen(
            ["ip", "netns", "exec", name, *isolated, "bash", script],
            env={"PATH": os.environ["PATH"], "HOME": "/root", **libraries()},
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )


def make_environment(home: Path, wheels: Path) -> None:
    """~/.afrl with this environment's packages, so that pip has only ours to install, which is built with what is
    in `wheels`."""
    environment = home / ".afrl"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    [packages] = environment.glob("lib/python*/site-packages")
    own = {path for path in sys.path if path.endswith("site-packages")} | {sysconfig.get_path("purelib")}
    (packages / "dependencies.pth").write_text("\n".join(sorted(own)) + "\n")
    script = environment / "bin" / "ray"
    script.write_text("#!/root/.afrl/bin/python\nimport sys\nfrom ray.scripts.scripts import main\nsys.exit(main())\n")
    script.chmod(0o755)
    variables = {"PATH": f"{os.environ['PATH']}", **libraries()}  # a login begins with others
    (home / ".bashrc").write_text("".join(f"export {name}={value}\n" for name, value in variables.items()))
    settings = home / ".config" / "pip" / "pip.conf"
    settings.parent.mkdir(parents=True)
    settings.write_text(f"[install]\nno-index = true\nfind-links = {wheels}\n")


def libraries() -> dict[str, str]:
    path = os.environ.get("LD_LIBRARY_PATH")
    return {"LD_LIBRARY_PATH": path} if path else {}


def run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=60)


def answers(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), timeout=2).close()
    except OSError:
        return False
    return True


def wait_for(condition: Callable[[], Any], seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.5)


@pytest.mark.timeout(900)
def test_up_job_and_down(hosts: Hosts, tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / ".ray").mkdir(parents=True)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    environment |= {"HOME": str(home), "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}

    def python(*arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, *map(str, arguments)]
        return subprocess.run(
            command,
            env={**environment, **variables},
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )

    ray = ("-m", "ray.scripts.scripts")
    python(*ray, "get-auth-token", "--generate")
    token = (home / ".ray" / "auth_token").read_text().strip()
    assert len(token) >= 32
    recipe = (ROOT / "cluster" / "onprem.yaml").read_text()
    head, *workers = hosts.addresses
    for placeholder, value in {
        "cluster_name: afrl": "cluster_name: afrl-test",
        "HEAD_HOST": head,
        "WORKER_HOST_1": workers[0],
        "WORKER_HOST_2": workers[1],
        "USER": "root",
        "~/.ssh/id_ed25519": str(hosts.key),
    }.items():
        assert placeholder in recipe
        recipe = recipe.replace(placeholder, value)
    (tmp_path / "onprem.yaml").write_text(recipe)

    up = python(*ray, "up", "--yes", "--no-config-cache", tmp_path / "onprem.yaml")
    assert up.returncode == 0, up.stdout + up.stderr
    assert not answers(head, 8265)  # only through SSH
    port = free_port()
    tunnel = subprocess.Popen(
        [*hosts.ssh, "-N", "-L", f"127.0.0.1:{port}:127.0.0.1:8265", f"root@{head}"],
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(lambda: answers("127.0.0.1", port))
        afrl = ("-m", "afrl_ray")
        address = ("--address", f"http://127.0.0.1:{port}")
        stranger = python(*afrl, "jobs", "list", *address, RAY_AUTH_TOKEN="wrong")
        assert (stranger.returncode, "refuses this token" in stranger.stderr) == (2, True)
        wait_for(lambda: living_nodes(python, port, token) == 3, 400)  # the head sets up the workers
        assert hosts.run(2, "stat", "-c", "%a", ".ray/auth_token").strip() == "600"

        (tmp_path / "tiny.yaml").write_text(CONFIG)
        submitted = python(*afrl, "submit", tmp_path / "tiny.yaml", *address)
        assert submitted.returncode == 0, submitted.stderr
        followed = python(*afrl, "jobs", "logs", "--follow", submitted.stdout.strip(), *address)
        assert followed.stderr.endswith("is SUCCEEDED\n"), followed.stdout + followed.stderr
    finally:
        tunnel.kill()
        tunnel.wait()
    assert (hosts.shared / "runs" / "tiny" / "evaluation" / "table.md").exists()
    assert len(checkpoints(hosts.shared / "runs" / "tiny")) == 2

    down = python(*ray, "down", "--yes", tmp_path / "onprem.yaml")
    assert down.returncode == 0, down.stdout + down.stderr
    assert "Exception occurred" not in down.stdout + down.stderr
    names = "cat /proc/[0-9]*/comm 2> /dev/null || true"  # of processes, some of which end meanwhile
    assert "raylet" not in hosts.run(0, names)
    for index in (1, 2):
        wait_for(lambda index=index: "raylet" not in hosts.run(index, names), 180)


def living_nodes(python: Any, port: int, token: str) -> int:
    program = (
        "from ray.util.state import list_nodes;"
        f"print(len(list_nodes('http://127.0.0.1:{port}', filters=[('state', '=', 'ALIVE')])))"
    )
    done = python("-c", program, RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=token)
    return int(done.stdout.split()[-1]) if done.returncode == 0 else 0


def free_port() -> int:
    with socket.socket() as candidate:
        candidate.bind(("127.0.0.1", 0))
        return int(candidate.getsockname()[1])
