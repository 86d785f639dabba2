"""What a job runs: enough to submit it, to know it again, and to resume it from anywhere."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from afrl_ray.config import ExperimentSettings, RuntimeSettings, settings_fingerprint
from afrl_ray.config.location import without_password
from afrl_ray.jobs.errors import JobError
from afrl_ray.tracking.database import database_file
from afrl_ray.tracking.location import check_uri

CONFIG_FILE = "config.yaml"
_MOST_OF_A_NAME = 60


class JobSpecification(BaseModel):
    """One command of `afrl` with the files it reads; lives in the job's metadata on the cluster."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    arguments: tuple[str, ...]
    """What comes after `python -m afrl_ray`."""
    files: dict[str, dict[str, Any]]
    """Content of the YAML files that the arguments name."""
    runtime: RuntimeSettings
    """What its processes will reserve."""
    output: str
    """The folder it writes to, as the settings name it."""

    @property
    def job_id(self) -> str:
        """The name and the beginning of the hash of everything: the same settings, the same id."""
        return f"{self.name[:_MOST_OF_A_NAME]}-{settings_fingerprint(self)[:12]}"


def experiment_job(settings: ExperimentSettings) -> JobSpecification:
    """The job of a pipeline or a sweep.

    Raises:
        JobError: a setting means a file of this machine, which the cluster's nodes would look for in vain.
    """
    refuse_local_files(settings)
    settings = settings.model_copy(update={"runtime": settings.runtime.model_copy(update={"address": None})})
    return JobSpecification(
        name=settings.name,
        arguments=("run", CONFIG_FILE),
        files={CONFIG_FILE: settings.model_dump(mode="json")},
        runtime=settings.runtime,
        output=str(settings.output or f"runs/{settings.name}"),
    )


def studies_job(
    name: str,
    arguments: Sequence[str],
    files: Mapping[str, dict[str, Any]],
    cases: Sequence[ExperimentSettings],
    output: str,
) -> JobSpecification:
    """The job of `afrl reproduce ARGUMENTS`, whose `cases` are the experiments that it expands to.

    Raises:
        JobError: a setting means a file of this machine.
    """
    for settings in cases:
        refuse_local_files(settings)
    return JobSpecification(
        name=name,
        arguments=("reproduce", *arguments),
        files=dict(files),
        runtime=cases[0].runtime.model_copy(update={"address": None}),
        output=output,
    )


def check_job_id(job_id: str) -> str:
    """`job_id`, where it can be one.

    Raises:
        JobError: it has other characters than a file name should have.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}", job_id):
        raise JobError(f"--id {job_id}: write up to 100 letters, digits, _ and -, with a letter or digit first")
    return job_id


def refuse_local_files(settings: ExperimentSettings) -> None:
    """Relative paths that exist here; an absolute one may be on storage that the cluster shares with this machine. And
    a password, which everyone with the cluster's token could read.

    Raises:
        JobError: there is one.
        ValueError: MLflow could not use the tracking URI.
    """
    named = {f"data.{name}": getattr(settings.data, name, None) for name in ("policy", "dataset")}
    for name, value in named.items():
        if value is not None and not Path(value).expanduser().is_absolute() and Path(value).exists():
            raise JobError(
                f"{name} is {value}, a file of this machine: put it where all nodes of the cluster see it, "
                "and give that absolute path"
            )
    if without_password(settings.tracking.uri or "") != (settings.tracking.uri or ""):
        raise JobError(
            "tracking.uri has a password in it, which a job does not keep secret: set MLFLOW_TRACKING_URI, or "
            "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, in the environment of the cluster's nodes"
        )
    if settings.tracking.enabled and settings.tracking.uri:
        check_uri(settings.tracking.uri)
    database = database_file(settings.tracking.uri or "")
    if database is not None and not database.is_absolute():
        raise JobError(
            f"tracking.uri is {settings.tracking.uri}, a file in the current folder, which a job does not have: "
            "leave it out, or name a server"
        )
