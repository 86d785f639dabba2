"""A tiny experiment in processes of its own, and what it leaves."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fault_support.results import Results

ROOT = Path(__file__).parents[4]
INTERVAL = 400
STEPS = 6 * INTERVAL
OFFLINE_ROWS = 600
CONFIG = f"""
name: faults
environment: {{id: hopper, max_episode_steps: 50}}
data: {{transitions: {OFFLINE_ROWS}}}
pretrain: {{updates: 100, evaluation_interval: 50, evaluation_episodes: 1, checkpoint_interval: 50}}
attack: {{population: 4, generations: 1, episodes: 2, training_bank: 1, validation_bank: 1, evaluation_bank: 1}}
finetune:
  {{steps: {STEPS}, evaluation_interval: {INTERVAL}, checkpoint_interval: {INTERVAL}, validation_episodes: 1}}
search:
  space:
    curriculum: [{{type: fixed, q: 0.5}}, {{type: adaptive, beta: 0.3, kappa: 0.6}}]
evaluation: {{episodes: 2, adaptive_attack: false}}
"""
_BEFORE_TRIALS = ("data", "pretrain", "attack")
_MOST_SECONDS = 600.0


def wait_for(condition: Callable[[], Any], seconds: float = _MOST_SECONDS, what: str = "it") -> Any:
    """What `condition` says once that is true of anything."""
    end = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < end, f"waited {seconds:.0f} s for {what}"
        time.sleep(0.1)
    return answer


# ---- `afrl run` on this machine --------------------------------------------------------------------------------------


@dataclass
class LocalRun:
    """`afrl run` of the tiny experiment in a process of its own, with whatever Ray starts below it."""

    folder: Path
    location: str = ""
    """Where the output goes, when not into `output`."""
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def output(self) -> Path:
        return self.folder / "run"

    @property
    def results(self) -> Results:
        return self.results_beside(self.folder / "mlflow.db")

    def results_beside(self, database: Path) -> Results:
        """The results, with another database than the one beside the output folder."""
        return Results(self.output, database)

    def start(self, *overrides: str) -> None:
        (self.folder / "faults.yaml").write_text(CONFIG)
        command = [sys.executable, "-m", "afrl_ray", "run", str(self.folder / "faults.yaml")]
        command += [f"output={self.location or self.output}", *overrides]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
        environment |= {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                cwd=self.folder,
                env=environment | self.environment,
            )

    def finish(self, expected: int = 0) -> None:
        assert self.process is not None
        code = self.process.wait(timeout=_MOST_SECONDS)
        assert code == expected, (code, self.words()[-3000:])

    def words(self) -> str:
        return (self.folder / "log").read_text()

    def steps(self) -> dict[str, int]:
        """Each trial's last checkpoint, by its environment steps."""
        return trial_steps(self.output)

    def reach(self, steps: int, trials: int = 2) -> None:
        """Wait until so many trials have a checkpoint at `steps` or later."""

        def reached() -> bool:
            assert self.process is not None
            assert self.process.poll() is None, self.words()[-3000:]
            return len(found := self.steps()) == trials and min(found.values()) >= steps

        wait_for(reached, what=f"checkpoints at {steps} steps")

    def workers(self, title: str) -> list[int]:
        """Ray's processes below this run whose title contains `title`."""
        assert self.process is not None
        return [pid for pid in descendants(self.process.pid) if title in command_line(pid)]

    def end(self) -> None:
        if self.process is not None:
            kill_tree(self.process.pid)


def trial_steps(output: Path) -> dict[str, int]:
    """The environment steps of each trial's last checkpoint."""
    found: dict[str, int] = {}
    for file in output.glob("finetune/tune/trial_*/checkpoint_*/curriculum.json"):
        try:
            step = json.loads((file.parent / "training.json").read_text())["step"]
        except (FileNotFoundError, json.JSONDecodeError):
            continue  # Tune deletes old ones
        found[file.parents[1].name] = max(found.get(file.parents[1].name, 0), step)
    return found


def descendants(pid: int) -> list[int]:
    parents: dict[int, int] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            except (FileNotFoundError, ProcessLookupError):
                continue
    found, front = [], [pid]
    while front:
        front = [child for child, parent in parents.items() if parent in front]
        found += front
    return found


def command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def kill_tree(pid: int) -> None:
    for one in [pid, *descendants(pid)]:
        try:
            os.kill(one, signal.SIGKILL)
        except ProcessLookupError:
            continue


def give_foundation(undisturbed: LocalRun, output: Path) -> None:
    """The stages before the trials: they are the same for all."""
    for stage in _BEFORE_TRIALS:
        shutil.copytree(undisturbed.output / stage, output / stage)


def remounted(folder: Path, mode: str) -> bool:
    """Try to mount `folder`, a mount of its own, as "ro" or "rw"; open files stand against the first."""
    command = ["mount", "-o", f"remount,bind,{mode}", folder]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
