"""Runs on the head node: takes back a submission that waits for its driver's resources.

Ray's Jobs API has no request for this, so it reaches below it, to the supervisor actor and the record that the API
keeps of each submission. Written against Ray 2.60; where those have moved, it fails, and the submission ends the way
Ray ends it: after it has begun.
"""

import asyncio
import sys

import ray
from ray.dashboard.modules.job.common import (
    JOB_ACTOR_NAME_TEMPLATE,
    SUPERVISOR_ACTOR_RAY_NAMESPACE,
    JobInfoStorageClient,
)
from ray.job_submission import JobStatus


def withdraw(submission_id: str) -> bool:
    """Mark a pending submission as stopped, then end the actor that would have begun it; False if it has begun."""
    records = JobInfoStorageClient(ray._private.worker.global_worker.gcs_client)
    if asyncio.run(records.get_status(submission_id)) != JobStatus.PENDING:
        return False
    asyncio.run(records.put_status(submission_id, JobStatus.STOPPED, message="Stopped before it began."))
    name = JOB_ACTOR_NAME_TEMPLATE.format(job_id=submission_id)
    ray.kill(ray.get_actor(name, namespace=SUPERVISOR_ACTOR_RAY_NAMESPACE))
    return True


if __name__ == "__main__":
    ray.init(log_to_driver=False)
    print("withdrawn" if withdraw(sys.argv[1]) else "it has begun already")
