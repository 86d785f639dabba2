"""The tiny experiment under way: on this machine as `afrl run`, or on hosts as a job."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

from experiments import afrl_command, tiny_experiment
from faults.hosts import Hosts
from faults.results import Results
from faults.servers import MLflowServer
from trial_folders import CHECKPOINT_RECORDS, replay_of, trial_of

ROOT = Path(__file__).parents[3]
INTERVAL = 400
STEPS = 6 * INTERVAL
OFFLINE_ROWS = 600
CONFIG = tiny_experiment(
    "search: {space: {curriculum: [{type: fixed, q: 0.5}, {type: adaptive, beta: 0.3, kappa: 0.6}]}}",
    steps=STEPS,
    interval=INTERVAL,
)
_BEFORE_TRIALS = ("data", "pretrain", "attack")
_MOST_SECONDS = 900.0


def wait_for(condition: Callable[[], Any], what: str, seconds: float = _MOST_SECONDS) -> Any:
    """What `condition` says once that is true of anything."""
    end = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < end, f"waited {seconds:.0f} s for {what}"
        time.sleep(0.1)
    return answer


class Run(ABC):
    """What tests ask of an experiment, wherever it runs."""

    output: Path
    database: Path

    @property
    def results(self) -> Results:
        return Results(self.output, self.database)

    def files(self, pattern: str) -> Iterable[PurePath]:
        """Files of the output that match, relative to it."""
        return (file.relative_to(self.output) for file in self.output.glob(pattern))

    def read(self, file: PurePath) -> bytes:
        """
        Raises:
            FileNotFoundError: it has gone since it was listed.
        """
        return (self.output / file).read_bytes()

    def rows_files(self, trial: str) -> set[str]:
        """Names of the files that hold the rows of a trial's replay."""
        return {file.name for file in self.files(f"{replay_of(trial)}/rows-*.npy")}

    def steps(self) -> dict[str, int]:
        """The environment steps of each trial's last checkpoint."""
        found: dict[str, int] = {}
        for file in self.files(CHECKPOINT_RECORDS):
            try:
                step = json.loads(self.read(file))["step"]
            except (FileNotFoundError, json.JSONDecodeError):
                continue  # just replaced
            trial = trial_of(file.parent)
            found[trial] = max(found.get(trial, 0), step)
        return found

    def unsent(self) -> list[PurePath]:
        """What waits for MLflow to be back."""
        return list(self.files("unsent/*/*.json"))

    def reach(self, steps: int, trials: int = 2) -> None:
        """Wait until so many trials have a checkpoint at `steps` or later."""

        def reached() -> bool:
            now = self.steps()
            assert not (over := self.over()), (over, self.words()[-3000:])
            return len(now) == trials and min(now.values()) >= steps

        wait_for(reached, f"checkpoints at {steps} steps")

    @abstractmethod
    def over(self) -> str:
        """SUCCEEDED or FAILED, or nothing while it is under way."""

    @abstractmethod
    def resume(self) -> None:
        """What a user does after it failed."""

    @abstractmethod
    def words(self) -> str:
        """What the driver has said."""

    def trial_failures(self) -> int:
        """How often trials failed, as Tune has said."""
        return self.words().count("Trial task failed for trial")

    def succeed(self) -> bool:
        """Wait for success, resuming once if it comes to that; whether it came to that."""
        if wait_for(self.over, "the end") == "SUCCEEDED":
            return False
        self.resume()
        assert wait_for(self.over, "the end") == "SUCCEEDED", self.words()[-3000:]
        return True


def give_foundation(undisturbed: Run, output: Path) -> None:
    """The stages before the trials: they are the same for all."""
    for stage in _BEFORE_TRIALS:
        shutil.copytree(undisturbed.output / stage, output / stage)


@dataclass
class LocalRun(Run):
    """`afrl run` in a process of its own, with whatever Ray starts below it."""

    folder: Path
    overrides: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    database: Path = Path()
    process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        self.output = self.folder / "run"
        if self.database == Path():
            self.database = self.folder / "mlflow.db"

    def start(self) -> None:
        (self.folder / "faults.yaml").write_text(CONFIG)
        command = afrl_command("run", self.folder / "faults.yaml", f"output={self.output}")
        environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
        environment |= {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*(one for one in command if not self._replaces(one)), *self.overrides],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                cwd=self.folder,
                env=environment | self.environment,
            )

    def track_in(self, server: MLflowServer) -> None:
        """Log to a server instead of a file."""
        self.environment["MLFLOW_TRACKING_URI"] = f"http://127.0.0.1:{server.port}"
        self.database = server.database

    def _replaces(self, argument: str) -> bool:
        return any(one.partition("=")[0] == argument.partition("=")[0] for one in self.overrides)

    resume = start

    def over(self) -> str:
        assert self.process is not None
        code = self.process.poll()
        return "" if code is None else "SUCCEEDED" if code == 0 else "FAILED"

    def words(self) -> str:
        return (self.folder / "log").read_text()

    def kill(self, title: str, most: int | None = None) -> None:
        """kill -9 of Ray's processes below this run whose title contains `title`."""
        assert self.process is not None
        pids = [pid for pid in descendants(self.process.pid) if title in command_line(pid)][:most]
        assert pids, f"there is no {title}"
        for pid in pids:
            os.kill(pid, signal.SIGKILL)

    def kill_driver(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def end(self) -> None:
        """Whatever is left of it."""
        if self.process is not None:
            for pid in [self.process.pid, *descendants(self.process.pid)]:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            self.process.wait()


@dataclass
class Job(Run):
    """A submitted experiment whose output is a folder that all hosts share."""

    hosts: Hosts
    id: str
    output: Path

    @classmethod
    def submit(cls, hosts: Hosts, undisturbed: Run) -> "Job":
        number = len(hosts.jobs)
        hosts.jobs.append(number)
        output = hosts.storage / f"job-{number}" / "run"
        give_foundation(undisturbed, output)
        config = hosts.folder / "faults.yaml"
        config.write_text(CONFIG)
        return cls(hosts, hosts.afrl("submit", config, f"output={output}", "--id", f"job-{number}"), output)

    def __post_init__(self) -> None:
        self.database = self.output.parent / "mlflow.db"

    def over(self) -> str:
        status = self.hosts.request(f"/api/jobs/{self.hosts.attempt(self.id)}")["status"]
        return str(status) if status in ("SUCCEEDED", "FAILED", "STOPPED") else ""

    def is_known_to_have_failed(self) -> bool:
        """Whether a user is told so."""
        return bool(self.status()["status"] == "FAILED")

    def status(self) -> dict[str, Any]:
        """What a user is told."""
        found: dict[str, Any] = json.loads(self.hosts.afrl("jobs", "status", self.id, "--json"))
        return found

    def resume(self) -> None:
        self.hosts.afrl("jobs", "resume", self.id)

    def words(self) -> str:
        return self.hosts.afrl("jobs", "logs", self.id)


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
