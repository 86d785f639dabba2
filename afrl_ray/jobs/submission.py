"""Beginning a job, beginning it again, and not beginning it twice."""

import posixpath
from dataclasses import dataclass

from afrl_ray.config import settings_fingerprint
from afrl_ray.jobs.cluster import Cluster
from afrl_ray.jobs.errors import IdTakenError, JobError
from afrl_ray.jobs.job import Job
from afrl_ray.jobs.specification import JobSpecification
from afrl_ray.scheduling import demands, refusal


@dataclass(frozen=True)
class Outcome:
    """What came of a request, for the one who made it."""

    job_id: str
    message: str


def submit(
    cluster: Cluster, specification: JobSpecification, job_id: str | None = None, *, autoscaling: bool = False
) -> Outcome:
    """Begin a job, under an id made from its specification unless `job_id` gives one.

    The same job that runs already, or has succeeded, is left alone. `autoscaling` is for clusters that add nodes: what
    their present nodes lack is no reason to refuse.

    Raises:
        JobError: the id is another job's; the job has stopped or failed, and is to be resumed; another one writes to
            the same folder; or no node could ever give what it reserves.
    """
    job_id = job_id or specification.job_id
    jobs = {job.id: job for job in cluster.jobs()}
    if job_id in jobs:
        return _same_again(jobs[job_id], specification)
    _refuse_two_writers(specification, list(jobs.values()))
    try:
        _begin(cluster, job_id, 1, specification, autoscaling)
    except IdTakenError as error:
        job = next((job for job in cluster.jobs() if job.id == job_id), None)
        if job is None:
            raise JobError(f"the id {job_id} is taken by a job that is not of afrl; give another --id") from error
        return _same_again(job, specification)  # somebody else has submitted it in the meantime
    return Outcome(job_id, f"submitted to {cluster.url}; follow it with: afrl jobs logs -f {job_id}")


def resume(cluster: Cluster, job_id: str, *, autoscaling: bool = False) -> Outcome:
    """Begin another attempt at a job that stopped or failed: finished stages are kept, the rest goes on.

    Raises:
        JobError: there is no such job, another one writes to its folder, or no node could give what it reserves.
    """
    job = cluster.job(job_id)
    latest = job.latest
    if latest.status == "SUCCEEDED":
        return Outcome(job.id, "has succeeded already; there is nothing to resume")
    if not latest.is_over:
        return Outcome(job.id, f"is {latest.status} already; follow it with: afrl jobs logs -f {job.id}")
    _refuse_two_writers(job.specification, cluster.jobs())
    try:
        _begin(cluster, job.id, latest.number + 1, job.specification, autoscaling)
    except IdTakenError:
        if cluster.job(job.id).latest.number == latest.number:  # it is no attempt at this job that has the id
            raise
        return Outcome(job.id, f"has just been resumed by another; follow it with: afrl jobs logs -f {job.id}")
    return Outcome(job.id, f"resumed, attempt {latest.number + 1}; follow it with: afrl jobs logs -f {job.id}")


def _begin(cluster: Cluster, job_id: str, number: int, specification: JobSpecification, autoscaling: bool) -> None:
    if not autoscaling:
        reason = refusal(demands(specification.runtime, on_cluster=True), cluster.nodes())
        if reason is not None:
            raise JobError(f"{reason} (if it adds nodes by itself, give --autoscaling)")
    cluster.start(job_id, number, specification)


def _same_again(job: Job, specification: JobSpecification) -> Outcome:
    latest = job.latest
    if settings_fingerprint(job.specification) != settings_fingerprint(specification):
        raise JobError(f"the id {job.id} is taken by a job with other settings; give another --id")
    how = {"STOPPED": "been stopped", "FAILED": "failed"}.get(latest.status)
    if how is not None:
        raise JobError(f"{job.id} has been submitted before and has {how}; write: afrl jobs resume {job.id}")
    hint = "there is nothing to do" if latest.is_over else f"follow it with: afrl jobs logs -f {job.id}"
    return Outcome(job.id, f"has been submitted before and is {latest.status}; {hint}")


def _refuse_two_writers(specification: JobSpecification, jobs: list[Job]) -> None:
    place = _normal(specification.output)
    for job in jobs:
        if not job.latest.is_over and job.output is not None and _normal(job.output) == place:
            raise JobError(
                f"{job.id} is {job.latest.status} and writes to {specification.output} too; "
                "stop it first, or set another output"
            )


def _normal(output: str) -> str:
    """A folder or URI, written one way: `runs/x`, `./runs/x` and `runs/y/../x/` are the same."""
    scheme, separator, path = output.rpartition("://")
    return f"{scheme}{separator}{posixpath.normpath(path)}"
