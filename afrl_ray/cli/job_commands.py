"""`afrl submit` and `afrl jobs …`. Handlers import what they need when they are called."""

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from afrl_ray.cli import commands, job_status, study_commands

if TYPE_CHECKING:
    from afrl_ray.jobs.cluster import Cluster
    from afrl_ray.jobs.job import Job
    from afrl_ray.jobs.submission import Outcome

_LAST_LINES = 5


def submit(arguments: argparse.Namespace) -> None:
    """An experiment, or studies, as a job of a cluster; without an address, `afrl run` or `afrl reproduce`."""
    from afrl_ray.jobs.address import find_address
    from afrl_ray.jobs.specification import check_job_id

    what = commands.submit(arguments) if arguments.scale is None else study_commands.submit(arguments)
    address = find_address(arguments.address, what.runtime_address)
    if address is None:
        ignored = [name for name, given in (("--id", arguments.id), ("--autoscaling", arguments.autoscaling)) if given]
        without = f", where {' and '.join(ignored)} means nothing" if ignored else ""
        print(f"no --address given: running here{without}", file=sys.stderr)
        what.run_here()
        return
    job_id = check_job_id(arguments.id) if arguments.id is not None else None
    specification = what.specification()
    from afrl_ray.jobs.cluster import Cluster
    from afrl_ray.jobs.submission import submit as submit_job

    _report(submit_job(Cluster(address), specification, job_id, autoscaling=arguments.autoscaling), arguments)


def show_list(arguments: argparse.Namespace) -> None:
    """One line for each job, the latest last."""
    jobs = _cluster(arguments).jobs()
    if arguments.json:
        print(json.dumps([_described(job) for job in jobs]))
        return
    rows = [("JOB", "STATUS", "ATTEMPT", "SUBMITTED", "TIME", "OUTPUT"), *(_row(job) for job in jobs)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


def status(arguments: argparse.Namespace) -> None:
    """What is known of one job: its stages and trials, also while it runs, and its driver's last words."""
    cluster = _cluster(arguments)
    job = cluster.job(arguments.id)
    report = cluster.report(job.latest)
    words = cluster.log(job.latest.submission_id).splitlines()[-_LAST_LINES:]
    described = _described(job)
    if arguments.json:
        reported = report.model_dump(mode="json") if report else None
        print(json.dumps({**described, "report": reported, "last_words": words}))
        return
    for name, value in described.items():
        print(f"{name}: {value}")
    for line in job_status.lines(report, is_over=job.latest.is_over) if report else ():
        print(line)
    print("\n  ".join(["last_words:", *words]))


def logs(arguments: argparse.Namespace) -> None:
    """What the driver wrote; with --follow, until the job is over or the reader has seen enough."""
    cluster = _cluster(arguments)
    job = cluster.job(arguments.id)
    if not arguments.follow:
        print(cluster.log(job.latest.submission_id), end="")
        return
    try:
        for piece in cluster.follow_log(job.latest.submission_id):
            print(piece, end="", flush=True)
    except KeyboardInterrupt:
        print(f"{job.id} goes on", file=sys.stderr)
        return
    print(f"{job.id} is {cluster.status(job.latest.submission_id)}", file=sys.stderr)


def stop(arguments: argparse.Namespace) -> None:
    """End a job."""
    cluster = _cluster(arguments)
    from afrl_ray.jobs.stopping import stop as stop_job

    _report(stop_job(cluster, arguments.id), arguments)


def resume(arguments: argparse.Namespace) -> None:
    """Go on with a job that stopped or failed."""
    cluster = _cluster(arguments)
    from afrl_ray.jobs.submission import resume as resume_job

    _report(resume_job(cluster, arguments.id, autoscaling=arguments.autoscaling), arguments)


def _cluster(arguments: argparse.Namespace) -> "Cluster":
    from afrl_ray.jobs.address import require_address

    address = require_address(arguments.address)
    from afrl_ray.jobs.cluster import Cluster

    return Cluster(address)


def _report(outcome: "Outcome", arguments: argparse.Namespace) -> None:
    """The id on standard output, for scripts; what happened on standard error, for people."""
    if arguments.json:
        print(json.dumps({"id": outcome.job_id, "message": outcome.message}))
        return
    print(outcome.job_id)
    print(f"{outcome.job_id} {outcome.message}", file=sys.stderr)


def _described(job: "Job") -> dict[str, Any]:
    latest = job.latest
    return {
        "id": job.id,
        "status": latest.status,
        "attempt": latest.number,
        "submitted": job_status.moment(latest.started),
        "time": job_status.duration(latest.seconds),
        "output": _output(job),
        "message": (latest.message.splitlines() or [""])[0],
    }


def _output(job: "Job") -> str:
    if job.readable is not None:
        return job.readable.output
    return f"{job.output or ''} (submitted by afrl_ray {job.version})".strip()


def _row(job: "Job") -> tuple[str, ...]:
    described = _described(job)
    return tuple(str(described[name]) for name in ("id", "status", "attempt", "submitted", "time", "output"))
