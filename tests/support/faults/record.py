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


@dataclass
class Record:
    """One fault, and what became of it; kept in the folder that AFRL_RECORD names."""

    fault: str
    run: Run
    facts: dict[str, Any] = field(default_factory=dict)
    _at: float = 0.0

    def strike(self, fault: Callable[[], Any]) -> None:
        """Do the harm, and note when and how far the trials were."""
        self.facts["checkpoints_at_fault"] = sorted(self._steps().values())
        self._before = self._steps()
        self._at = time.time()
        fault()

    def recovered(self) -> None:
        """Wait until every trial has got further than it was."""

        def further() -> bool:
            now = self._steps()
            return all(now.get(trial, 0) > step or step >= STEPS for trial, step in self._before.items())

        wait_for(further, "the trials to go on")
        self.facts["seconds_to_recover"] = round(time.time() - self._at, 1)

    def end(self, *, resumed: bool = False) -> None:
        """Wait for success, resuming once unless that was done before."""
        self.facts["resumed"] = self.run.succeed() or resumed
        self.facts["seconds_from_fault_to_end"] = round(time.time() - self._at, 1)
        self.facts["whole_intervals_repeated"] = max(map(self._repeated, self._before), default=0) // INTERVAL

    def _steps(self) -> dict[str, int]:
        return self.run.steps()

    def _repeated(self, trial: str) -> int:
        """Steps between the last checkpoint before the fault and the one it went on from, which its next rows say."""
        files = list((self.run.replay_logs / trial.removeprefix("trial_")).glob("rows-*.npy"))
        later = [int(file.name.split("-")[1]) for file in files if file.stat().st_mtime > self._at]
        return max(self._before[trial] - (min(later) - OFFLINE_ROWS), 0) if later else 0

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
