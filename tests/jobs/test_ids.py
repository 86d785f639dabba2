"""What is said where another has taken an id in the meantime."""

from typing import Any

import pytest

from afrl_ray import __version__
from afrl_ray.config import ExperimentSettings
from afrl_ray.jobs.cluster import Cluster
from afrl_ray.jobs.errors import IdTakenError, JobError
from afrl_ray.jobs.specification import experiment_job
from afrl_ray.jobs.submission import resume, submit
from listed_jobs import cluster_of, submission

OURS = experiment_job(ExperimentSettings(name="ours"))
WRITTEN = OURS.model_dump_json()


def attempt(number: int, status: str) -> Any:
    one = submission("one", WRITTEN, __version__, status)
    one.submission_id = "one" if number == 1 else f"one.{number}"
    one.metadata["afrl.attempt"] = str(number)
    return one


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Submissions that appear once a job is begun, which fails because its id is taken."""
    appear: list[Any] = []

    def start(cluster: Cluster, *_: Any) -> str:
        there = cluster._client.list_jobs()
        cluster._client.list_jobs = lambda: [*there, *appear]
        raise IdTakenError("the id is taken")

    monkeypatch.setattr(Cluster, "start", start)
    monkeypatch.setattr(Cluster, "_nodes", lambda *_: [])
    return appear


def test_somebody_else_has_resumed_it(taken: list[Any]) -> None:
    taken.append(attempt(2, "RUNNING"))
    outcome = resume(cluster_of(attempt(1, "FAILED")), "one", autoscaling=True)
    assert outcome.message == "has just been resumed by another; follow it with: afrl jobs logs -f one"


@pytest.mark.usefixtures("taken")
def test_something_else_has_the_id_of_the_next_attempt() -> None:
    with pytest.raises(IdTakenError):
        resume(cluster_of(attempt(1, "FAILED")), "one", autoscaling=True)


def test_somebody_else_has_submitted_it(taken: list[Any]) -> None:
    taken.append(attempt(1, "PENDING"))
    outcome = submit(cluster_of(), OURS, "one", autoscaling=True)
    assert outcome.message.startswith("has been submitted before and is PENDING")


@pytest.mark.usefixtures("taken")
def test_a_job_that_is_not_ours_has_the_id() -> None:
    with pytest.raises(JobError, match=r"^the id one is taken by a job that is not of afrl; give another --id$"):
        submit(cluster_of(), OURS, "one", autoscaling=True)
