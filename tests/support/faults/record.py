"""What became of a fault, written down."""

import json
import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from faults.runs import INTERVAL, OFFLINE_ROWS, ROOT, STEPS, Run, wait_for

_SETTLED = 2.0
"""Seconds in which a checkpoint is in its place below a URI too; before, one interval more may be repeated."""


@dataclass
class Record:
    """One fault, and what became of it; kept in the folder that AFRL_RECORD names."""

    fault: str
    run: Run
    facts: dict[str, Any] = field(default_factory=dict)
    _at: float = 0.0
    _before: dict[str, int] = field(default_factory=dict)
    _files: dict[str, set[str]] = field(default_factory=dict)

    def strike(self, fault: Callable[[], Any]) -> None:
        """Do the harm, and note when and how far the trials were."""
        self._before = self._settled()
        self._files = {trial: self._files_of(trial) for trial in self._before}
        self.facts["checkpoints_at_fault"] = sorted(self._before.values())
        self._at = time.time()
        fault()

    def _settled(self) -> dict[str, int]:
        """The trials' checkpoints, of which none is quite new unless the training is nearly over."""
        now, since = self._steps(), time.monotonic()
        while time.monotonic() < since + _SETTLED and max(now.values()) < STEPS - INTERVAL:
            time.sleep(0.1)
            before, now = now, self._steps()
            since = since if now == before else time.monotonic()
        return now

    def recovered(self) -> None:
        """Wait until every trial has got further than it was."""

        def further() -> bool:
            now = self._steps()
            return all(now.get(trial, 0) > step or step >= STEPS for trial, step in self._before.items())

        wait_for(further, "the trials to go on")
        self.facts["seconds_to_recover"] = round(time.time() - self._at, 1)

    def end(self, *, resumed: bool = False) -> None:
        """Wait for success, resuming once unless that was done before. At most one interval may have been repeated."""
        self.facts["resumed"] = self.run.succeed() or resumed
        self.facts["seconds_from_fault_to_end"] = round(time.time() - self._at, 1)
        repeated = {trial: self._repeated(trial) for trial in self._before}
        self.facts["whole_intervals_repeated"] = -(-max(repeated.values()) // INTERVAL)
        assert not any(repeated.values()), f"steps before the last checkpoint at the fault were repeated: {repeated}"

    def _steps(self) -> dict[str, int]:
        return self.run.steps()

    def _repeated(self, trial: str) -> int:
        """Steps between the last checkpoint before the fault and the one it went on from, which its next rows say.

        Those since the last checkpoint come on top; they are less than an interval, or it would not have been the last.
        """
        later = [int(file.split("-")[1]) for file in self._files_of(trial) - self._files[trial]]
        assert later or self._before[trial] >= STEPS - INTERVAL, f"{trial} wrote no rows after the fault"
        return max(self._before[trial] - (min(later) - OFFLINE_ROWS), 0) if later else 0

    def _files_of(self, trial: str) -> set[str]:
        return self.run.rows_files(trial)

    def write(self) -> None:
        folder = os.environ.get("AFRL_RECORD")
        if not folder:
            return
        command = ["git", "rev-parse", "--short", "HEAD"]
        commit = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
        when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        file = Path(folder) / f"{self.fault}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        records = json.loads(file.read_text()) if file.exists() else []
        records.append({"fault": self.fault, "when": when, "commit": commit, **self.facts})
        file.write_text(json.dumps(records, indent=1) + "\n")
