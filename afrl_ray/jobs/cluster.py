"""A Ray cluster as seen through its dashboard: its nodes, and the jobs that `afrl` started there."""

import asyncio
import logging
import shlex
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import yaml

from afrl_ray import __file__ as package_file
from afrl_ray import __version__
from afrl_ray.jobs.address import prepare
from afrl_ray.jobs.errors import IdTakenError, JobError, one_line
from afrl_ray.jobs.job import ENDED, Attempt, Job
from afrl_ray.jobs.specification import JobSpecification
from afrl_ray.scheduling import Resources, actor_options, bundle
from afrl_ray.telemetry.board import SUBMISSION_VARIABLE, report_file
from afrl_ray.telemetry.labels import JOB_VARIABLE
from afrl_ray.telemetry.logs import FORMAT_VARIABLE
from afrl_ray.telemetry.report import JobReport

_JOB, _ATTEMPT, _SPECIFICATION, _VERSION = "afrl.job", "afrl.attempt", "afrl.specification", "afrl.version"
_MOST_NODES = 10_000
_TALKATIVE = (
    "ray.dashboard.modules.dashboard_sdk",  # of every upload
    "ray._private.runtime_env.packaging",  # the same
    "ray.dashboard.modules.job.sdk",  # of every end of a log
)
"""Ray's loggers that tell of what went well."""
STOP_SECONDS = 60
"""How long a driver that was asked to stop may write checkpoints before it is killed."""


class Cluster:
    """Requests to one cluster; whatever goes wrong with one is a `JobError` of one line."""

    def __init__(self, url: str) -> None:
        """
        Raises:
            JobError: nothing listens at `url`, it is no Ray dashboard, or it refuses the token.
        """
        self.url = url
        prepare(url)
        from ray.job_submission import JobSubmissionClient

        for name in _TALKATIVE:
            logging.getLogger(name).setLevel(logging.WARNING)
        with one_line(url):
            self._client = JobSubmissionClient(url)

    def nodes(self) -> list[Resources]:
        """What each living node has in all."""
        return [dict(node.resources_total) for node in sorted(self._nodes("ALIVE"), key=lambda node: node.node_ip)]

    def _nodes(self, state: str) -> list[Any]:
        from ray.util.state import list_nodes

        with one_line(self.url):
            # Ray takes nodes that have died for an answer cut short, and would raise over them
            return list(
                list_nodes(
                    self.url,
                    filters=[("state", "=", state)],
                    limit=_MOST_NODES,
                    detail=True,
                    raise_on_missing_output=False,
                )
            )

    def jobs(self) -> list[Job]:
        """The jobs that `afrl` submitted, the latest submission last.

        Ray goes on calling a job running when a head that was lost comes back without the driver that was on it.
        """
        with one_line(self.url):
            details = self._client.list_jobs()
        running = any(one.driver_node_id and str(one.status) not in ENDED for one in details)
        deaths = {node.node_id: (node.end_time_ms or 0) / 1000 for node in self._nodes("DEAD")} if running else {}
        attempts: dict[str, list[tuple[Attempt, Mapping[str, str]]]] = defaultdict(list)
        for one in details:
            metadata = one.metadata or {}
            if _SPECIFICATION in metadata and one.submission_id:
                attempts[metadata.get(_JOB, one.submission_id)].append((_attempt(one, metadata, deaths), metadata))
        jobs = []
        for job_id, found in attempts.items():
            found.sort(key=lambda pair: pair[0].number)
            metadata = found[-1][1]
            version = metadata.get(_VERSION, "of an unknown version")
            jobs.append(Job(job_id, tuple(attempt for attempt, _ in found), version, metadata[_SPECIFICATION]))
        return sorted(jobs, key=lambda job: job.latest.started)

    def job(self, job_id: str) -> Job:
        """
        Raises:
            JobError: there is no such job.
        """
        jobs = self.jobs()
        for job in jobs:
            if job_id in (job.id, *(attempt.submission_id for attempt in job.attempts)):
                return job
        known = ", ".join(job.id for job in reversed(jobs[-5:])) or "none"
        raise JobError(f"there is no job {job_id} on {self.url}; the latest there: {known}")

    def start(self, job_id: str, number: int, specification: JobSpecification) -> str:
        """Ship package and settings, and begin attempt `number`; returns its submission id."""
        options = actor_options(bundle(specification.runtime.resources.driver))
        metadata = {
            _JOB: job_id,
            _ATTEMPT: str(number),
            _SPECIFICATION: specification.model_dump_json(),
            _VERSION: __version__,
        }
        submission_id = job_id if number == 1 else f"{job_id}.{number}"
        with tempfile.TemporaryDirectory() as folder:
            for name, content in specification.files.items():
                text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
                (Path(folder) / name).write_text(text, encoding="utf-8")
            command = shlex.join(["python", "-m", "afrl_ray", *specification.arguments])
            self.submit(
                # the storage's default is the head's home folder; exec, so that the signal to stop reaches Python
                f'AFRL_STORAGE="${{AFRL_STORAGE:-$HOME/afrl}}" exec {command}',
                submission_id,
                runtime_env={"working_dir": folder},
                environment={
                    JOB_VARIABLE: job_id,
                    SUBMISSION_VARIABLE: submission_id,
                    FORMAT_VARIABLE: specification.runtime.log_format,
                },
                metadata=metadata,
                entrypoint_num_cpus=options["num_cpus"],
                entrypoint_num_gpus=options["num_gpus"],
                entrypoint_resources=options["resources"],
            )
        return submission_id

    def submit(
        self,
        entrypoint: str,
        submission_id: str,
        runtime_env: Mapping[str, Any],
        environment: Mapping[str, str] | None = None,
        **options: Any,
    ) -> None:
        """Run a shell command that finds this package, as it is here, and has time to stop.

        Raises:
            IdTakenError: there is a submission of this id already.
            JobError: something else went wrong.
        """
        variables = {"RAY_JOB_STOP_WAIT_TIME_S": str(STOP_SECONDS), **(environment or {})}
        shipped = {"py_modules": [str(Path(package_file).parent)], "excludes": ["__pycache__"]}
        try:
            with one_line(self.url):
                self._client.submit_job(
                    entrypoint=entrypoint,
                    submission_id=submission_id,
                    runtime_env={**shipped, "env_vars": variables, **runtime_env},
                    **options,
                )
        except JobError as error:
            if f"{submission_id} already exists" in str(error):
                raise IdTakenError(f"the id {submission_id} is taken on {self.url}") from error
            raise

    def status(self, submission_id: str) -> str:
        with one_line(self.url):
            return str(self._client.get_job_status(submission_id))

    def request_stop(self, submission_id: str) -> None:
        with one_line(self.url):
            self._client.stop_job(submission_id)

    def log(self, submission_id: str) -> str:
        """Everything the driver has written so far."""
        with one_line(self.url):
            return str(self._client.get_job_logs(submission_id))

    def report(self, attempt: Attempt) -> JobReport | None:
        """How far an attempt is, as its driver last wrote it down; None where it has not, or the node is gone."""
        if attempt.node is None:
            return None
        wanted = {"node_id": attempt.node, "filename": report_file(attempt.submission_id), "lines": -1}
        with one_line(self.url):  # ray.util.state.get_log does the same, and takes no dashboard's address
            answer = self._client._do_request("GET", f"/api/v0/logs/file?{urlencode(wanted)}")
        try:
            return JobReport.model_validate_json(answer.text) if answer.status_code == 200 else None
        except ValueError:  # of another version of the package
            return None

    def follow_log(self, submission_id: str) -> Iterator[str]:
        """The driver's words, old and new, until the attempt is over."""
        loop = asyncio.new_event_loop()
        pieces = self._client.tail_job_logs(submission_id)
        following = None
        try:
            with one_line(self.url):
                while True:
                    following = asyncio.ensure_future(anext(pieces), loop=loop)
                    try:
                        yield loop.run_until_complete(following)
                    except StopAsyncIteration:
                        return
        finally:
            if following is not None and not following.done():  # interrupted while it waited
                following.cancel()
                loop.run_until_complete(asyncio.gather(following, return_exceptions=True))
            loop.run_until_complete(pieces.aclose())
            loop.close()


def _attempt(details: Any, metadata: Mapping[str, str], deaths: Mapping[str, float]) -> Attempt:
    """`deaths` are the moments, in seconds since 1970, at which nodes were found dead; 0 where it is not known."""
    status, message, ended = str(details.status), details.message or "", (details.end_time or 0) / 1000
    if status not in ENDED and details.driver_node_id in deaths:
        status, message = "FAILED", "The node that its driver was on has died."
        ended = deaths[details.driver_node_id]
    return Attempt(
        submission_id=details.submission_id,
        number=int(metadata.get(_ATTEMPT, 1)),
        status=status,
        message=message,
        started=(details.start_time or 0) / 1000,
        ended=ended or None,
        node=details.driver_node_id,
    )
