"""cluster/slurm.sh with real Ray nodes on loopback addresses; only SLURM's own commands are stand-ins."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from experiments import tiny_experiment
from trial_folders import checkpoints

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.long]

ROOT = Path(__file__).parents[2]
CONFIG = tiny_experiment(steps=3000)
SRUN = """#!/usr/bin/env bash
while [[ $1 == -* ]]; do
    if [[ $1 == -w ]]; then host=$2; shift; fi
    shift
done
if [[ $1 == hostname ]]; then
    declare -A addresses=([one]=127.0.0.2 [two]=127.0.0.3)
    echo "${addresses[$host]}"
    exit
fi
exec "$@"
"""


@pytest.fixture
def allocation(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of a batch job on two hosts with one core each."""
    commands, environment = tmp_path / "slurm", tmp_path / "env" / "bin"
    for folder in (commands, environment, tmp_path / "storage"):
        folder.mkdir(parents=True)
    scripts = {
        commands / "srun": SRUN,
        commands / "scontrol": "#!/bin/sh\nprintf 'one\\ntwo\\n'\n",
        environment / "python": f'#!/bin/sh\nexec {sys.executable} "$@"\n',
        environment / "ray": f'#!/bin/sh\nexec {sys.executable} -m ray.scripts.scripts "$@"\n',
        environment / "afrl": f'#!/bin/sh\nexec {sys.executable} -m afrl_ray "$@"\n',
        environment / "activate": f"PATH={environment}:$PATH\n",
    }
    for file, text in scripts.items():
        file.write_text(text)
        file.chmod(0o755)
    (tmp_path / "tiny.yaml").write_text(CONFIG)
    ours = {
        "PATH": f"{commands}:{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]),
        "AFRL_ENV": str(tmp_path / "env"),
        "AFRL_STORAGE": str(tmp_path / "storage"),
        "SLURM_JOB_ID": str(10_000 + os.getpid() % 5000),
        "SLURM_JOB_NODELIST": "[one,two]",
        "SLURM_CPUS_PER_TASK": "1",
        "SLURM_SUBMIT_DIR": str(tmp_path),
    }
    yield {**{name: value for name, value in os.environ.items() if not name.startswith("RAY_")}, **ours}
    shutil.rmtree(f"/tmp/ray-{ours['SLURM_JOB_ID']}", ignore_errors=True)


@pytest.mark.timeout(900)
def test_stopped_before_its_time_is_up_and_continued(allocation: dict[str, str], tmp_path: Path) -> None:
    output = tmp_path / "storage" / "runs" / "tiny"
    token = tmp_path / "storage" / f".ray-token-{allocation['SLURM_JOB_ID']}"
    first = start(allocation, tmp_path)
    wait_for(lambda: checkpoints(output) or first.poll() is not None)
    assert first.poll() is None, (tmp_path / "log").read_text()
    assert token.stat().st_mode & 0o777 == 0o600
    first.send_signal(signal.SIGTERM)  # what #SBATCH --signal=B:TERM@120 sends, to the script alone
    assert first.wait(timeout=120) == 130
    assert "interrupted: the same command continues" in (tmp_path / "log").read_text()
    assert not token.exists()
    assert not (output / "finetune" / "manifest.json").exists()

    again = start(allocation, tmp_path)
    assert again.wait(timeout=400) == 0, (tmp_path / "log").read_text()
    assert (output / "evaluation" / "table.md").exists()
    assert "pretrain: kept" in (tmp_path / "log").read_text()
    wait_for(lambda: not nodes_of(allocation))


def start(allocation: dict[str, str], folder: Path) -> subprocess.Popen[bytes]:
    with (folder / "log").open("w") as log:
        command = [ROOT / "cluster" / "slurm.sh", folder / "tiny.yaml"]
        return subprocess.Popen(command, env=allocation, cwd=folder, stdout=log, stderr=log, start_new_session=True)


def nodes_of(allocation: dict[str, str]) -> list[str]:
    """Processes of this allocation's Ray nodes, which have its temporary folder on their command line."""
    folder = f"/tmp/ray-{allocation['SLURM_JOB_ID']}"
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = file.read_bytes().decode(errors="replace")
        except OSError:
            continue
        if folder in command:
            found.append(command)
    return found


def wait_for(condition: Callable[[], object], seconds: float = 400.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.5)
