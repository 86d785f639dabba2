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
    check_for_a_job(settings)
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
        check_for_a_job(settings)
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


def check_for_a_job(settings: ExperimentSettings) -> None:
    """That a job on any node of a cluster could do what these settings say.

    Raises:
        JobError: they name a file of this machine, or hold a password, which everyone with the cluster's token could
            read.
        ValueError: MLflow could not use the tracking URI.
    """
    for name in ("policy", "dataset"):
        _refuse_a_local_file(f"data.{name}", getattr(settings.data, name, None))
    uri = settings.tracking.uri or ""
    _refuse_a_password(uri)
    if uri and settings.tracking.enabled:
        _check_tracking_uri(uri)


def _refuse_a_local_file(name: str, value: object) -> None:
    """One at a relative path; an absolute one may be on storage that the cluster shares with this machine."""
    if value is None:
        return
    path = Path(str(value))
    if not path.expanduser().is_absolute() and path.exists():
        raise JobError(
            f"{name} is {value}, a file of this machine: put it where all nodes of the cluster see it, "
            "and give that absolute path"
        )


def _refuse_a_password(uri: str) -> None:
    if without_password(uri) != uri:
        raise JobError(
            "tracking.uri has a password in it, which a job does not keep secret: set MLFLOW_TRACKING_URI, or "
            "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, in the environment of the cluster's nodes"
        )


def _check_tracking_uri(uri: str) -> None:
    check_uri(uri)
    database = database_file(uri)
    if database is not None and not database.is_absolute():
        raise JobError(
            f"tracking.uri is {uri}, a file in the current folder, which a job does not have: "
            "leave it out, or name a server"
        )
