"""Ending a job, also one that has not begun."""

import time

from afrl_ray.jobs.cluster import STOP_SECONDS, Cluster
from afrl_ray.jobs.job import Attempt
from afrl_ray.jobs.submission import Outcome

_POLL_INTERVAL = 0.5
_PATIENCE = 3.0
"""Seconds that a pending attempt gets to begin and notice that it is to end."""


def stop(cluster: Cluster, job_id: str) -> Outcome:
    """End the latest attempt as Ctrl-C would: the driver may write its checkpoints first.

    Ray's own stop leaves a job that waits for resources waiting, and lets it begin later, only to end it then. Such
    a job is taken back by a helper on the head node (`afrl_ray.jobs.withdraw`).

    Raises:
        JobError: there is no such job.
    """
    job = cluster.job(job_id)
    latest = job.latest
    if latest.is_over:
        return Outcome(job.id, f"has ended before: {latest.status}")
    cluster.request_stop(latest.submission_id)
    status = _wait_while(cluster, latest, ("PENDING",), _PATIENCE)
    if status == "PENDING":
        _withdraw(cluster, latest)
    status = _wait_while(cluster, latest, ("PENDING", "RUNNING"), STOP_SECONDS + 30)
    if status in ("PENDING", "RUNNING"):
        return Outcome(job.id, f"is still {status}; it ends as soon as the cluster gets to it")
    hint = "" if status == "SUCCEEDED" else f"; go on with: afrl jobs resume {job.id}"
    return Outcome(job.id, f"is {status}{hint}")


def _withdraw(cluster: Cluster, attempt: Attempt) -> None:
    helper = f"withdraw-{attempt.submission_id}-{time.time_ns()}"
    cluster.submit(f"python -m afrl_ray.jobs.withdraw {attempt.submission_id}", helper, runtime_env={})


def _wait_while(cluster: Cluster, attempt: Attempt, statuses: tuple[str, ...], seconds: float) -> str:
    """The attempt's status, once it is none of `statuses` or the time is up."""
    end = time.monotonic() + seconds
    while (status := cluster.status(attempt.submission_id)) in statuses and time.monotonic() < end:
        time.sleep(_POLL_INTERVAL)
    return status
