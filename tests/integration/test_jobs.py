"""Jobs on a real cluster of two nodes with a token, through the command alone."""

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from experiments import tiny_experiment
from trial_folders import checkpoints

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.long]

CONFIG = tiny_experiment(steps=2000)
STUDY = """
title: One arm
arms:
  fine-tuned: {settings: {curriculum: {type: fixed, q: 0.5}}}
results: [{type: scores}]
scales: {smoke: {steps: 200}}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "tiny.yaml").write_text(CONFIG)
    return tmp_path / "tiny.yaml"


def test_submitted_stopped_and_resumed(config: Path, local_cluster: Any) -> None:
    """One job from beginning to end, with a stop while a trial is under way."""
    job_id = local_cluster.afrl_json("submit", config)["id"]
    again = local_cluster.afrl_json("submit", config)
    assert again["id"] == job_id
    assert again["message"].startswith("has been submitted before and is ")
    two_writers = local_cluster.afrl("submit", config, "seed=1")
    assert (two_writers.returncode, "writes to runs/tiny too" in two_writers.stderr) == (2, True)

    with local_cluster.start("jobs", "logs", "--follow", job_id) as enough:
        try:
            assert enough.stdout.readline()
            enough.send_signal(signal.SIGINT)
            assert (enough.communicate(timeout=60)[1], enough.returncode) == (f"{job_id} goes on\n", 0)
        finally:
            enough.kill()

    output = local_cluster.storage / "runs" / "tiny"
    wait(lambda: any(json.loads((one / "training.json").read_text())["step"] for one in checkpoints(output)))
    assert local_cluster.afrl_json("jobs", "stop", job_id)["message"].startswith("is STOPPED")
    assert "interrupted: the same command continues" in local_cluster.afrl("jobs", "logs", job_id).stdout
    assert not (output / "finetune" / "manifest.json").exists()
    once_more = local_cluster.afrl("submit", config)
    assert once_more.returncode == 2
    assert once_more.stderr == (
        f"error: {job_id} has been submitted before and has been stopped; write: afrl jobs resume {job_id}\n"
    )

    assert "attempt 2" in local_cluster.afrl_json("jobs", "resume", job_id)["message"]
    followed = local_cluster.afrl("jobs", "logs", "--follow", job_id)
    assert followed.stderr.splitlines()[-1] == f"{job_id} is SUCCEEDED"
    assert "attack: kept" in followed.stdout
    status = local_cluster.afrl_json("jobs", "status", job_id)
    assert (status["status"], status["attempt"], status["output"]) == ("SUCCEEDED", 2, "runs/tiny")
    assert [job["id"] for job in local_cluster.afrl_json("jobs", "list")] == [job_id]
    [trial] = checkpoints(output)
    curve = json.loads((trial / "training.json").read_text())["curve"]
    assert [row["env_steps"] for row in curve] == list(range(0, 2001, 100))
    assert (output / "evaluation" / "table.md").exists()
    assert (output.parent / "mlflow.db").exists()


def test_a_job_that_waits_for_its_driver_can_be_stopped(config: Path, local_cluster: Any) -> None:
    occupier = {"entrypoint": "sleep 600", "submission_id": "occupier", "entrypoint_resources": {"slot": 1}}
    local_cluster.request("POST", "/api/jobs/", occupier)
    wait(lambda: local_cluster.request("GET", "/api/jobs/occupier")["status"] == "RUNNING")
    driver = "runtime.resources.driver.custom.slot=1"
    local_cluster.afrl_json("submit", config, driver, "output=waiting", "--id", "waiting")
    assert local_cluster.afrl_json("jobs", "status", "waiting")["status"] == "PENDING"
    stopped = local_cluster.afrl_json("jobs", "stop", "waiting")
    assert stopped["message"] == "is STOPPED; go on with: afrl jobs resume waiting"
    assert local_cluster.afrl_json("jobs", "status", "waiting")["message"] == "Stopped before it began."

    local_cluster.request("POST", "/api/jobs/occupier/stop")
    wait(lambda: local_cluster.request("GET", "/api/jobs/occupier")["status"] == "STOPPED")
    time.sleep(2)  # now it could begin
    assert local_cluster.afrl_json("jobs", "status", "waiting")["status"] == "STOPPED"
    assert not (local_cluster.storage / "waiting").exists()


@pytest.mark.long  # tests/studies runs all studies without a cluster
def test_a_study(local_cluster: Any, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(STUDY)
    job_id = local_cluster.afrl_json("submit", tmp_path / "mine.yaml", "--scale", "smoke", "--seeds", "1")["id"]
    assert local_cluster.afrl("jobs", "logs", "--follow", job_id).stderr.splitlines()[-1] == f"{job_id} is SUCCEEDED"
    [report] = local_cluster.storage.glob("**/smoke/mine/report.md")
    assert "| fine-tuned |" in report.read_text()
    [trial] = local_cluster.afrl_json("jobs", "status", job_id)["report"]["trials"]
    assert (trial["status"], trial["failures"]) == ("finished", 0)


@pytest.mark.long
def test_a_pretraining_that_is_killed_and_then_stopped(config: Path, local_cluster: Any) -> None:
    """Its death is in the status, and its run in MLflow does not stay open."""
    longer = ["pretrain.updates=50000", "pretrain.checkpoint_interval=500", "output=pretraining/run"]
    local_cluster.afrl_json("submit", config, *longer, "--id", "pretraining")
    folder = local_cluster.storage / "pretraining"

    def saved_at() -> list[float]:
        return [file.stat().st_mtime for file in folder.glob("run/pretrain/checkpoint/training.json")]

    wait(lambda: bool(saved_at()))
    before = saved_at()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            is_ours = str(local_cluster.storage).encode() in (process / "environ").read_bytes()
            if is_ours and (process / "cmdline").read_bytes().startswith(b"ray::_pretrain"):
                os.kill(int(process.name), signal.SIGKILL)
    wait(lambda: saved_at() > before)
    report = local_cluster.afrl_json("jobs", "status", "pretraining")["report"]
    assert [failure["kind"] for failure in report["failures"]] == ["pretrain"]
    assert {stage["name"]: stage["status"] for stage in report["stages"]} == {
        "data": "finished",
        "pretrain": "running",
        "attack": "waiting",
        "finetune": "waiting",
        "evaluation": "waiting",
    }

    assert local_cluster.afrl_json("jobs", "stop", "pretraining")["message"].startswith("is STOPPED")
    with contextlib.closing(sqlite3.connect(folder / "mlflow.db")) as database:
        runs = dict(database.execute("select name, status from runs").fetchall())
    assert runs == {"tiny": "KILLED", "data": "FINISHED", "pretrain": "KILLED"}
    stages = local_cluster.afrl_json("jobs", "status", "pretraining")["report"]["stages"]
    assert [stage["status"] for stage in stages] == ["finished", "stopped", "waiting", "waiting", "waiting"]


def test_a_cluster_in_the_place_of_another_is_refused(local_cluster: Any, tmp_path: Path) -> None:
    settings = {"STATE": str(tmp_path / "state"), "DASHBOARD_PORT": local_cluster.url.rpartition(":")[2]}
    script = Path(__file__).parents[2] / "cluster" / "local.sh"
    environment = {**os.environ, **settings}
    done = subprocess.run([script], env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr.startswith(f"something answers at {local_cluster.url} already")) == (2, True)
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["submit", "CONFIG", "runtime.resources.trial.cpus=2", "output=x"],
            "a trial (runtime.resources.trial) asks for 2 CPU, which no node can ever give; "
            "the cluster has 1 node of 1 CPU and 1 node of 1 CPU, 1 slot (if it adds nodes by itself, give "
            "--autoscaling)",
        ),
        (["jobs", "stop", "never-seen"], "there is no job never-seen on URL; the latest there: "),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(
    arguments: list[str], message: str, config: Path, local_cluster: Any
) -> None:
    done = local_cluster.afrl(*(str(config) if argument == "CONFIG" else argument for argument in arguments))
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert done.stderr.startswith("error: " + message.replace("URL", local_cluster.url))


@pytest.mark.parametrize(("token", "answer"), [("wrong", "refuses this token"), ("", "asks for a token")])
def test_nobody_comes_in_without_the_token(token: str, answer: str, local_cluster: Any, tmp_path: Path) -> None:
    done = local_cluster.afrl("jobs", "list", RAY_AUTH_TOKEN=token, HOME=str(tmp_path))
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: the cluster at {local_cluster.url} {answer}: set RAY_AUTH_TOKEN")


def wait(condition: Callable[[], bool], seconds: float = 500.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.5)
