"""Jobs that another version of the package submitted, among our own; the cluster is a list of submissions."""

import argparse
import json

import pytest

from afrl_ray import __version__
from afrl_ray.cli import job_commands
from afrl_ray.config import ExperimentSettings
from afrl_ray.jobs.cluster import Cluster
from afrl_ray.jobs.errors import JobError
from afrl_ray.jobs.specification import JobSpecification, experiment_job
from afrl_ray.jobs.submission import resume, submit
from listed_jobs import cluster_of, submission

OURS = experiment_job(ExperimentSettings(name="ours"))


def written_by_another(output: str = "runs/theirs") -> str:
    return json.dumps({**json.loads(OURS.model_dump_json()), "output": output, "priority": 3})


@pytest.fixture
def cluster() -> Cluster:
    return cluster_of(
        submission("ours", OURS.model_dump_json(), __version__),
        submission("theirs", written_by_another(), "9.9", "FAILED", start_time=2000),
        submission("broken", "{", None, start_time=3000),
    )


def test_the_others_are_found_as_ever(cluster: Cluster) -> None:
    assert [job.id for job in cluster.jobs()] == ["ours", "theirs", "broken"]
    assert cluster.job("ours").specification == OURS
    assert cluster.job("theirs").output == "runs/theirs"
    assert cluster.job("broken").output is None


def test_a_list_says_whose_they_are(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(job_commands, "_cluster", lambda _arguments: cluster)
    job_commands.show_list(argparse.Namespace(json=True))
    assert {job["id"]: job["output"] for job in json.loads(capsys.readouterr().out)} == {
        "ours": "runs/ours",
        "theirs": "runs/theirs (submitted by afrl_ray 9.9)",
        "broken": "(submitted by afrl_ray of an unknown version)",
    }
    job_commands.logs(argparse.Namespace(id="theirs", follow=False))
    assert capsys.readouterr().out == "log of theirs\n"


def test_what_needs_its_settings_says_so_in_one_line(cluster: Cluster) -> None:
    message = (
        f"theirs was submitted by afrl_ray 9.9, and this is {__version__}, which cannot read its settings; "
        "use that version"
    )
    with pytest.raises(JobError) as resuming:
        resume(cluster, "theirs", autoscaling=True)
    with pytest.raises(JobError) as submitting:
        submit(cluster, OURS, "theirs")
    assert str(resuming.value) == str(submitting.value) == message


@pytest.mark.parametrize("same", ["runs/x", "./runs/x", "runs//x/", "runs/y/../x"])
def test_two_ways_to_write_a_folder_are_one_folder(same: str) -> None:
    cluster = cluster_of(submission("first", written_by_another(same), "9.9"))
    specification = JobSpecification.model_validate({**OURS.model_dump(), "output": "runs/x"})
    with pytest.raises(JobError, match=r"^first is RUNNING and writes to runs/x too"):
        submit(cluster, specification, autoscaling=True)


@pytest.mark.parametrize("other", ["runs/xy", "/runs/x", "s3://runs/x"])
def test_another_folder_is_another(other: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = cluster_of(submission("first", written_by_another(other), "9.9"))
    begun: list[str] = []
    monkeypatch.setattr(Cluster, "start", lambda _cluster, job_id, _number, _specification: begun.append(job_id))
    submit(cluster, JobSpecification.model_validate({**OURS.model_dump(), "output": "runs/x"}), autoscaling=True)
    assert len(begun) == 1
