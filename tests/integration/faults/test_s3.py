"""Everything below an S3 URI, against moto's server, with the machine and its working copy lost on the way."""

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.cluster, pytest.mark.slow]
pytest.importorskip("moto", reason="moto is in the dev extra")
AFTER = 800


@dataclass
class Bucket:
    """A bucket of moto's server."""

    client: Any
    environment: dict[str, str]
    url: str

    def names(self) -> list[str]:
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket="bucket")
        return [entry["Key"] for page in pages for entry in page.get("Contents", [])]

    def read(self, key: str) -> bytes:
        content: bytes = self.client.get_object(Bucket="bucket", Key=key)["Body"].read()
        return content

    def download(self, prefix: str, folder: Path) -> None:
        for key in self.names():
            if key.startswith(prefix) and not key.endswith("/"):
                file = folder / key.removeprefix(prefix)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(self.read(key))


@pytest.fixture(scope="module")
def bucket() -> Iterator[Bucket]:
    import boto3

    port = 21_000 + os.getpid() % 1000
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(url, timeout=1).close()
                break
            except OSError:
                time.sleep(0.2)
        keys = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "us-east-1"}
        client = boto3.client(
            "s3", region_name="us-east-1", endpoint_url=url, aws_access_key_id="key", aws_secret_access_key="secret"
        )
        client.create_bucket(Bucket="bucket")
        yield Bucket(client, {"AWS_ENDPOINT_URL": url, **keys}, url)
    finally:
        server.kill()
        server.wait()


@pytest.fixture
def stored(bucket: Bucket, make_run: Any) -> Any:
    """A run whose output is in the bucket."""
    run = make_run(location="s3://bucket/runs/faults")
    run.environment |= {**bucket.environment, "AFRL_SCRATCH": str(run.folder / "scratch")}
    return run


def steps(bucket: Bucket) -> dict[str, int]:
    """Each trial's last checkpoint: its folders count the evaluations, the one at 0 steps being the first."""
    found: dict[str, int] = {}
    for key in bucket.names():
        parts = key.split("/")
        if parts[-1] == "curriculum.json" and "tune" in parts:
            try:
                record = json.loads(bucket.read(key.replace("curriculum.json", "training.json")))
            except bucket.client.exceptions.NoSuchKey:
                continue
            trial = next(part for part in parts if part.startswith("trial_"))
            found[trial] = max(found.get(trial, 0), record["step"])
    return found


def test_a_run_goes_on_on_another_machine(
    stored: Any, bucket: Bucket, undisturbed: Any, record: Any, same: Any, wait_for: Any
) -> None:
    stored.start()
    note = record("driver_s3", lambda: steps(bucket))
    wait_for(lambda: len(found := steps(bucket)) == 2 and min(found.values()) >= AFTER)
    note.strike(stored.end)
    stored.process.wait()
    shutil.rmtree(stored.folder / "scratch")
    stored.start()
    note.recovered()
    stored.finish()
    assert "pretrain: kept, s3://bucket/runs/faults/pretrain" in stored.words()
    bucket.download("runs/faults/", stored.output)
    note.repeated(stored.output / "finetune" / "replay")
    results = stored.results_beside(stored.folder / "runs" / "mlflow.db")
    same(results, undisturbed.results)
    assert (stored.output / "evaluation" / "table.md").exists()

    shutil.rmtree(stored.folder / "scratch")
    before = len(stored.words())
    stored.start()
    stored.finish()
    kept = stored.words()[before:]
    for stage in ("data", "pretrain", "attack", "finetune", "evaluation"):
        assert f"{stage}: kept, s3://bucket/runs/faults/{stage}" in kept


@pytest.mark.parametrize(
    ("output", "change", "message"),
    [
        ("s3://elsewhere/x", {}, "there is no such bucket, or not in this region (AWS_REGION)"),
        (
            "s3://bucket/x",
            {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"},
            "no answer: check the network, and AWS_ENDPOINT_URL where the storage is not Amazon's",
        ),
    ],
)
def test_what_cannot_be_reached_is_one_line(output: str, change: dict[str, str], message: str, stored: Any) -> None:
    stored.location = output
    stored.environment |= change
    stored.start()
    stored.finish(expected=2)
    assert stored.words() == f"error: {output}: {message}\n"


def test_access_that_is_denied_is_one_line(stored: Any, bucket: Bucket) -> None:
    def only_allow(count: float) -> None:
        request = urllib.request.Request(f"{bucket.url}/moto-api/reset-auth", str(count).encode(), method="POST")
        urllib.request.urlopen(request, timeout=10).close()

    only_allow(0)
    try:
        stored.location = "s3://bucket/x"
        stored.start()
        stored.finish(expected=2)
    finally:
        only_allow(float("inf"))
    denied = "access is denied: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the machine a role"
    assert stored.words() == f"error: s3://bucket/x: {denied}\n"
