"""A cluster that is nothing but a list of submissions."""

from types import SimpleNamespace
from typing import Any

from afrl_ray.jobs.cluster import Cluster


def submission(job_id: str, specification: str, version: str | None, status: str = "RUNNING", **other: Any) -> Any:
    metadata = {"afrl.job": job_id, "afrl.attempt": "1", "afrl.specification": specification}
    metadata |= {} if version is None else {"afrl.version": version}
    known = {"submission_id": job_id, "status": status, "message": "", "driver_node_id": None, "end_time": None}
    return SimpleNamespace(**{**known, "start_time": 1000, "metadata": metadata, **other})


def cluster_of(*submissions: Any) -> Cluster:
    cluster = object.__new__(Cluster)
    cluster.url = "http://head:8265"
    cluster._client = SimpleNamespace(
        list_jobs=lambda: list(submissions), get_job_logs=lambda submission_id: f"log of {submission_id}\n"
    )
    return cluster
