"""cluster/slurm.sh where Ray's head never answers; all commands are stand-ins."""

import os
import subprocess
import time
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "cluster" / "slurm.sh"
RAY = """#!/usr/bin/env bash
echo "ray $*" >> "$CALLS"
if [[ $1 == start ]]; then exec {start}; fi
exit 1
"""
SRUN = """#!/usr/bin/env bash
while [[ $1 == -* ]]; do
    if [[ $1 == -w ]]; then shift; fi
    shift
done
if [[ $1 == hostname ]]; then echo 127.0.0.2; exit; fi
exec "$@"
"""


@pytest.mark.parametrize(("start", "checks"), [("/bin/sleep 20", 60), ("/bin/false", None)])
def test_a_head_that_never_answers_ends_the_job(start: str, checks: int | None, tmp_path: Path) -> None:
    commands = tmp_path / "bin"
    commands.mkdir()
    scripts = {
        "srun": SRUN,
        "ray": RAY.format(start=start),
        "afrl": '#!/bin/sh\necho "afrl" >> "$CALLS"\n',
        "scontrol": "#!/bin/sh\nprintf 'one\\ntwo\\n'\n",
        "sleep": "#!/bin/sh\nexec /bin/sleep 0.01\n",
        "activate": "",
    }
    for name, text in scripts.items():
        (commands / name).write_text(text)
        (commands / name).chmod(0o755)
    environment = {
        "PATH": f"{commands}:{os.environ['PATH']}",
        "CALLS": str(tmp_path / "calls"),
        "AFRL_ENV": str(tmp_path),
        "AFRL_STORAGE": str(tmp_path),
        "SLURM_SUBMIT_DIR": str(tmp_path),
        "SLURM_JOB_ID": "7",
        "SLURM_JOB_NODELIST": "[one,two]",
    }
    begin = time.monotonic()
    done = subprocess.run(
        [SCRIPT, "config.yaml"], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: the Ray head on one (127.0.0.2:20007) does not answer")
    calls = (tmp_path / "calls").read_text().splitlines()
    assert sum(call.startswith("ray start") for call in calls) == 1  # no worker
    assert "afrl" not in calls
    if checks is not None:
        assert sum(call.startswith("ray health-check") for call in calls) == checks
    assert time.monotonic() - begin < 20
    assert not list(tmp_path.glob(".ray-token-*"))
