"""What a cluster knows of a job that `afrl` started there."""

import json
import time
from dataclasses import dataclass
from functools import cached_property

from afrl_ray import __version__
from afrl_ray.jobs.errors import JobError
from afrl_ray.jobs.specification import JobSpecification

ENDED = ("SUCCEEDED", "FAILED", "STOPPED")
"""The statuses of an attempt that is over."""


@dataclass(frozen=True)
class Attempt:
    """One submission of a job; a resumed job has several."""

    submission_id: str
    number: int
    status: str
    """PENDING, RUNNING, SUCCEEDED, FAILED or STOPPED."""
    message: str
    started: float  # seconds since 1970, of the submission
    ended: float | None
    node: str | None = None
    """The id of the node that its driver is on."""

    @property
    def is_over(self) -> bool:
        return self.status in ENDED

    @property
    def seconds(self) -> float:
        """How long it has taken, or took."""
        return (time.time() if self.ended is None else self.ended) - self.started


@dataclass(frozen=True)
class Job:
    """All attempts at one specification, the first one first."""

    id: str
    attempts: tuple[Attempt, ...]
    version: str
    """Of the package that made the latest attempt."""
    written: str
    """The specification as that package wrote it."""

    @property
    def latest(self) -> Attempt:
        return self.attempts[-1]

    @cached_property
    def readable(self) -> JobSpecification | None:
        """The specification, or None where another version of the package wrote what this one does not know."""
        try:
            return JobSpecification.model_validate_json(self.written)
        except ValueError:
            return None

    @property
    def specification(self) -> JobSpecification:
        """
        Raises:
            JobError: this version of the package cannot read it.
        """
        if self.readable is None:
            raise JobError(
                f"{self.id} was submitted by afrl_ray {self.version}, and this is {__version__}, which cannot read its "
                "settings; use that version"
            )
        return self.readable

    @property
    def output(self) -> str | None:
        """The folder it writes to, as its settings name it; None where that cannot be read."""
        try:
            output = json.loads(self.written)["output"]
        except (ValueError, TypeError, KeyError):
            return None
        return output if isinstance(output, str) else None
