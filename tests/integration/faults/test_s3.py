"""Everything below an S3 URI, with the driver and all working copies lost on the way."""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest

from afrl_ray.algorithms.replay_log import ReplayLog
from afrl_ray.cli import main
from afrl_ray.networks import load_policy_file
from afrl_ray.pipeline.artifacts import Stage
from afrl_ray.pipeline.mirror import Mirror
from afrl_ray.storage import StorageError, require_writable
from afrl_ray.tracking.unsent import Journal, Unsent, waiting_runs
from experiments import afrl_command
from faults.hosts import switched_on
from faults.record import Record
from faults.results import assert_as_undisturbed
from faults.runs import CONFIG, INTERVAL, LocalRun, wait_for
from faults.s3_runs import S3Job, S3Run
from faults.servers import Bucket, MLflowServer

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.long]
AFTER = 2 * INTERVAL
STAGES = ("data", "pretrain", "attack", "finetune", "evaluation")
STUDY = """
title: One training
arms: {adaptive: {presets: [adaptive]}}
results: [{type: scores}, {type: curves}]
scales: {smoke: {steps: 2000}}
"""


@pytest.fixture
def stored(bucket: Bucket, tmp_path: Path) -> Iterator[S3Run]:
    one = S3Run(tmp_path, bucket)
    yield one
    one.end()


def test_driver_and_working_copies_lost_while_mlflow_is_away(
    stored: S3Run, mlflow: MLflowServer, undisturbed: LocalRun
) -> None:
    """The server goes, then the machine with the driver. The second machine knows nothing but the URI, and the server
    is back before it ends; a third one finds everything finished."""
    stored.track_in(mlflow)
    stored.start()
    note = Record("driver_s3", stored)
    stored.reach(AFTER)
    mlflow.kill()
    wait_for(stored.unsent, "entries in the bucket")
    note.strike(stored.kill_driver)
    shutil.rmtree(stored.scratch)
    stored.resume()
    note.recovered()
    mlflow.start()
    note.end(resumed=True)
    assert_kept(stored.words(), STAGES[:3])
    assert not stored.unsent()
    assert_as_undisturbed(stored.results, undisturbed.results)
    assert (stored.output / "evaluation" / "table.md").exists()

    shutil.rmtree(stored.scratch)
    before, logged = len(stored.words()), stored.results.ended()
    stored.start()
    assert not stored.succeed()
    assert_kept(stored.words()[before:], STAGES)
    assert stored.results.ended() == logged


@pytest.mark.long  # `make test` takes MLflow away besides
def test_driver_and_working_copies(stored: S3Run, undisturbed: LocalRun, record: Callable[..., Record]) -> None:
    stored.start()
    note = record("driver_s3", stored)
    stored.reach(AFTER)
    note.strike(stored.kill_driver)
    shutil.rmtree(stored.scratch)
    stored.resume()
    note.recovered()
    note.end(resumed=True)
    assert_kept(stored.words(), STAGES[:3])
    assert_as_undisturbed(stored.results, undisturbed.results)


def assert_kept(words: str, stages: Iterable[str]) -> None:
    for stage in stages:
        assert f"{stage}: kept, s3://bucket/runs/faults/{stage}" in words


@pytest.mark.long
@pytest.mark.usefixtures("namespaces")
def test_driver_of_a_job_on_hosts_that_share_no_folder(
    bucket: Bucket, mlflow: MLflowServer, undisturbed: LocalRun, record: Callable[..., Record], tmp_path: Path
) -> None:
    with switched_on(workers=2, of_nodes=lambda router: S3Job.storage(bucket, router)) as hosts:
        job = S3Job.begin(hosts, bucket, mlflow, tmp_path)
        note = record("driver_of_a_job_s3", job)
        job.reach(AFTER)
        note.strike(lambda: hosts.head.kill("-m afrl_ray run"))
        assert wait_for(job.over, "the end") == "FAILED"
        shutil.rmtree(hosts.head.folder / "scratch")
        job.resume()
        note.recovered()
        note.end(resumed=True)
        assert not list(hosts.storage.iterdir())
        assert_as_undisturbed(job.results, undisturbed.results)


@pytest.fixture
def inside(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """The bucket, known to this process."""
    for name, value in bucket.environment("127.0.0.1").items():
        monkeypatch.setenv(name, value)
    return bucket


def test_a_stage_goes_on_elsewhere_and_is_finished_everywhere(inside: Bucket, tmp_path: Path) -> None:
    mirror = Mirror("s3://bucket/parts/stage")

    def stage(machine: str, updates: int) -> Stage:
        return Stage("stage", tmp_path / machine, {"updates": updates}, {}, mirror)

    one, two = stage("one", 10), stage("two", 10)
    assert one.begin() is False
    for step in (1, 2):
        (one.directory / "checkpoint" / "deep").mkdir(parents=True, exist_ok=True)
        (one.directory / "checkpoint" / "deep" / "step").write_text(f"{step}")
        one.keep()
    assert two.begin() is True
    assert (two.directory / "checkpoint" / "deep" / "step").read_text() == "2"
    manifest = two.finish({"score": 1.5}, seed=0)
    assert stage("three", 10).finished() == one.finished() == manifest
    assert stage("three", 11).begin() is False
    assert [name for name in inside.names("parts/stage/") if not name.endswith("/")] == [
        "parts/stage/index.json",
        "parts/stage/started.json",
    ]
    assert any(name.endswith("/manifest.json") for name in inside.names("parts/stage.replaced-"))


def test_rows_of_a_replay_and_entries_that_wait_for_mlflow(inside: Bucket) -> None:
    log = ReplayLog("s3://bucket/parts/replay")
    rows = np.arange(12, dtype=np.float32).reshape(4, 3)
    log.append(rows, 0)
    log.append(rows[:2], 4)
    first, second = log.serve(3)
    assert (first.start, first.stop, second.start, second.stop) == (0, 4, 4, 6)
    np.testing.assert_array_equal(ReplayLog(log.location).read(first), rows)
    assert log.holds([first, second])
    log.delete()
    assert not log.holds([first])

    journal = Journal("s3://bucket/parts/unsent", "key", "name")
    journal.append(Unsent({"a": "1"}))
    journal.append(Unsent(status="FINISHED"))
    assert journal.read() == Unsent({"a": "1"}, status="FINISHED")
    assert waiting_runs("s3://bucket/parts/unsent") == {"key": "name"}
    journal.clear()
    assert not journal.read().any()
    assert [name for name in inside.names("parts/unsent/") if name.endswith(".json")] == []


_DENIED = "access is denied: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the machine a role"


@pytest.mark.parametrize(
    ("location", "endpoint", "asked", "reason"),
    [
        ("s3://elsewhere/x", None, False, "there is no such bucket, or not in this region (AWS_REGION)"),
        ("s3://bucket/x", None, True, _DENIED),
        (
            "s3://bucket/x",
            "http://127.0.0.1:9",
            False,
            "no answer: check the network, and AWS_ENDPOINT_URL where the storage is not Amazon's",
        ),
    ],
)
def test_what_cannot_be_written_to_is_one_line(
    location: str, endpoint: str | None, asked: bool, reason: str, inside: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_writable("s3://bucket/x")
    if endpoint is not None:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    inside.ask_for_permission(asked)
    try:
        with pytest.raises(StorageError) as error:
            require_writable(location)
    finally:
        inside.ask_for_permission(False)
    assert str(error.value) == f"{location}: {reason}"


@pytest.mark.usefixtures("inside")
def test_the_command_says_it_before_it_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AFRL_SCRATCH", str(tmp_path / "scratch"))
    (tmp_path / "faults.yaml").write_text(CONFIG)
    assert main(["run", str(tmp_path / "faults.yaml"), "output=s3://elsewhere/x"]) == 2
    reason = "there is no such bucket, or not in this region (AWS_REGION)"
    assert capsys.readouterr() == ("", f"error: s3://elsewhere/x: {reason}\n")


@pytest.mark.long
def test_a_study_whose_machine_is_lost_goes_on_elsewhere(inside: Bucket, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(STUDY)
    options = ["--scale", "smoke", "--seeds", "1", "tracking.enabled=false", "--output"]
    command = afrl_command("reproduce", tmp_path / "mine.yaml", *options)
    subprocess.run([*command, str(tmp_path / "undisturbed")], check=True, timeout=500, capture_output=True)

    def on_machine(name: str) -> "subprocess.Popen[bytes]":
        environment = {**os.environ, "AFRL_SCRATCH": str(tmp_path / name)}
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        return subprocess.Popen([*command, "s3://bucket/mine"], env=environment, start_new_session=True, **quiet)  # type: ignore[call-overload, no-any-return]

    lost = on_machine("lost")
    try:
        published = "/policies@"  # by its second checkpoint at least
        wait_for(lambda: lost.poll() is not None or any(published in name for name in inside.names("mine")), "policies")
    finally:
        os.killpg(lost.pid, signal.SIGKILL)
    assert lost.wait() == -signal.SIGKILL
    shutil.rmtree(tmp_path / "lost")
    assert not inside.names("mine/smoke")
    assert on_machine("another").wait(timeout=500) == 0

    assert {name.rpartition("/")[2] for name in inside.names("mine/smoke/mine")} >= {"report.md", "study.json"}
    assert not [name for name in inside.names("mine") if name.endswith(".followed") or "tune/" in name]
    one, other = (tmp_path / "undisturbed", tmp_path / "another" / "s3" / "bucket" / "mine")
    [run] = [folder.relative_to(one) for folder in one.glob("stages/run-*")]
    assert _curve(one / run) == _curve(other / run)
    for step in (200, 2000):
        policies = [load_policy_file(folder / run / "policies" / f"{step}.safetensors")[0] for folder in (one, other)]
        assert policies[0].fingerprint() == policies[1].fingerprint()
    assert [folder.name for folder in (tmp_path / "another").iterdir()] == ["s3"]  # the trials' own copies are gone


def _curve(run: Path) -> list[object]:
    return list(json.loads((run / "checkpoint" / "training.json").read_text())["curve"])
