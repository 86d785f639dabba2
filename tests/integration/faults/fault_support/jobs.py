"""The tiny experiment as a job of some hosts."""

import json
from dataclasses import dataclass
from pathlib import Path

from fault_support.hosts import Hosts
from fault_support.record import Record
from fault_support.results import Results
from fault_support.runs import CONFIG, LocalRun, give_foundation, trial_steps, wait_for


@dataclass
class Job:
    hosts: Hosts
    id: str
    output: Path

    @classmethod
    def submit(cls, hosts: Hosts, undisturbed: LocalRun) -> "Job":
        number = len(list(hosts.storage.iterdir()))
        output = hosts.storage / f"job-{number}" / "run"
        give_foundation(undisturbed, output)
        config = hosts.folder / "faults.yaml"
        config.write_text(CONFIG)
        return cls(hosts, hosts.afrl("submit", config, f"output={output}", "--id", f"job-{number}"), output)

    @property
    def results(self) -> Results:
        return Results(self.output, self.output.parent / "mlflow.db")

    def steps(self) -> dict[str, int]:
        return trial_steps(self.output)

    def reach(self, steps: int) -> None:
        """Wait until both trials have a checkpoint at `steps` or later."""
        wait_for(lambda: len(now := self.steps()) == 2 and min(now.values()) >= steps, what=f"{steps} steps")

    def status(self) -> str:
        return str(json.loads(self.hosts.afrl("jobs", "status", self.id, "--json"))["status"])

    def wait_over(self) -> str:
        """The status once it is that of an end."""
        return str(
            wait_for(lambda: (now := self.status()) in ("SUCCEEDED", "FAILED", "STOPPED") and now, what="an end")
        )

    def resume(self) -> None:
        self.hosts.afrl("jobs", "resume", self.id)

    def succeed(self, note: Record) -> None:
        """Wait for success, with one `afrl jobs resume` if it comes to that."""
        if self.wait_over() != "SUCCEEDED":
            note.facts["failed_with"] = self.hosts.afrl("jobs", "logs", self.id).splitlines()[-1:]
            note.facts["resumed"] = True
            self.resume()
            assert self.wait_over() == "SUCCEEDED", self.hosts.afrl("jobs", "logs", self.id)[-3000:]
