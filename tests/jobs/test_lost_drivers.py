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
    ("status", "node", "expected"),
    [
        ("RUNNING", "dead", ("FAILED", "The node that its driver was on has died.")),
        ("RUNNING", "alive", ("RUNNING", "")),
        ("PENDING", None, ("PENDING", "")),
        ("SUCCEEDED", "dead", ("SUCCEEDED", "")),
    ],
)
def test_a_job_whose_drivers_node_has_died_has_failed(
    status: str, node: str | None, expected: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Cluster, "_nodes", lambda _self, state: [SimpleNamespace(node_id=state.lower())])
    latest = cluster_of(submission("one", WRITTEN, __version__, status, driver_node_id=node)).job("one").latest
    assert (latest.status, latest.message) == expected
    assert latest.is_over == (expected[0] not in ("RUNNING", "PENDING"))
