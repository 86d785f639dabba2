"""What is said of jobs whose driver's node has died, while Ray goes on calling them running."""

from types import SimpleNamespace

import pytest

from afrl_ray import __version__
from afrl_ray.config import ExperimentSettings
from afrl_ray.jobs.cluster import Cluster
from afrl_ray.jobs.specification import experiment_job
from listed_jobs import cluster_of, submission

WRITTEN = experiment_job(ExperimentSettings(name="ours")).model_dump_json()


@pytest.mark.parametrize(
    ("status", "node", "expected", "ended"),
    [
        ("RUNNING", "dead", ("FAILED", "The node that its driver was on has died."), 61.0),
        ("RUNNING", "alive", ("RUNNING", ""), None),
        ("PENDING", None, ("PENDING", ""), None),
        ("SUCCEEDED", "dead", ("SUCCEEDED", ""), 31.0),
    ],
)
def test_a_job_whose_drivers_node_has_died_has_failed(
    status: str, node: str | None, expected: tuple[str, str], ended: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes = [SimpleNamespace(node_id="dead", end_time_ms=61_000)]
    monkeypatch.setattr(Cluster, "_nodes", lambda _self, state: nodes if state == "DEAD" else [])
    of_ray = {"end_time": 31_000} if status == "SUCCEEDED" else {}
    job = cluster_of(submission("one", WRITTEN, __version__, status, driver_node_id=node, **of_ray)).job("one")
    latest = job.latest
    assert (latest.status, latest.message) == expected
    assert latest.ended == ended  # so that its time does not run on
    assert latest.is_over == (expected[0] not in ("RUNNING", "PENDING"))
