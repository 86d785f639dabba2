"""What is known of a running job: its stages, its trials, its queues and what failed."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

StageStatus = Literal["waiting", "running", "finished", "stopped", "failed"]
TrialStatus = Literal["waiting", "running", "finished", "stopped", "failed"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")  # a job may be older or newer than who asks


class StageReport(_Part):
    name: str
    status: StageStatus = "waiting"
    started: float | None = None  # seconds since 1970
    ended: float | None = None
    doing: str = ""
    """What of the stage is under way."""
    done: int = 0
    total: int = 0
    unit: str = ""
    note: str = ""


class TrialReport(_Part):
    id: str
    name: str
    status: TrialStatus = "waiting"
    env_steps: int = 0
    wanted_steps: int = 0
    q: float | None = None
    score: dict[str, float | None] = {}
    """Validation score under each condition and their mean."""
    best_score: float | None = None
    steps_per_second: float | None = None
    failures: int = 0


class FailureReport(_Part):
    time: float  # seconds since 1970
    kind: str
    message: str
    trial: str = ""


class JobReport(_Part):
    updated: float = 0.0  # seconds since 1970
    stages: tuple[StageReport, ...] = ()
    trials: tuple[TrialReport, ...] = ()
    queues: dict[str, int] = {}
    """How many of each kind wait: trials, evaluation tasks, entries for MLflow."""
    failures: tuple[FailureReport, ...] = ()
    """The latest ones, the latest last."""
