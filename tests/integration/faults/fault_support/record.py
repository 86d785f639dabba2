"""What became of a fault, written down."""

import json
import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fault_support.runs import INTERVAL, OFFLINE_ROWS, ROOT, STEPS, wait_for


@dataclass
class Record:
    """One fault, and what became of it; kept in the folder that AFRL_RECORD names."""

    fault: str
    watched: Callable[[], dict[str, int]]
    """Steps of each trial's last checkpoint."""
    facts: dict[str, Any] = field(default_factory=dict)
    _at: float = 0.0

    def strike(self, fault: Callable[[], Any]) -> None:
        """Do the harm, and note when and how far the trials were."""
        self.facts["checkpoints_at_fault"] = self.watched()
        self._at = time.time()
        fault()

    def recovered(self) -> None:
        """Wait until every trial has got further than it was."""
        before = self.facts["checkpoints_at_fault"]

        def further() -> bool:
            now = self.watched()
            return all(now.get(trial, 0) > step or step >= STEPS for trial, step in before.items())

        wait_for(further, what="the trials to go on")
        self.facts["seconds_to_recover"] = round(time.time() - self._at, 1)

    def repeated(self, logs: Path) -> None:
        """Note where trials went on, which the first rows that they wrote after the fault say."""
        steps = {}
        for trial, step in self.facts["checkpoints_at_fault"].items():
            files = list((logs / trial.removeprefix("trial_")).glob("rows-*.npy"))
            later = [int(file.name.split("-")[1]) for file in files if file.stat().st_mtime > self._at]
            steps[trial] = max(step - (min(later) - OFFLINE_ROWS), 0) if later else 0
        self.facts["whole_intervals_repeated"] = max(steps.values(), default=0) // INTERVAL

    def write(self) -> None:
        folder = os.environ.get("AFRL_RECORD")
        if not folder:
            return
        commit = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
        )
        file = Path(folder) / f"{self.fault}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        records = json.loads(file.read_text()) if file.exists() else []
        records.append(
            {
                "fault": self.fault,
                "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                "commit": commit.stdout.strip(),
                **self.facts,
            }
        )
        file.write_text(json.dumps(records, indent=1) + "\n")
