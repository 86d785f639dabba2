"""Servers beside the hosts, on every address of this machine: S3, MLflow, Redis."""

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


def start(*command: str, **environment: str) -> subprocess.Popen[bytes]:
    """A process group of its own, whose words nobody reads."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "stdin": subprocess.DEVNULL}
    return subprocess.Popen(command, env={**os.environ, **environment}, start_new_session=True, **quiet)  # type: ignore[call-overload, no-any-return]


def end(process: subprocess.Popen[bytes]) -> None:
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def wait_until_it_answers(url: str, seconds: float = 180.0) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except OSError:
            assert time.monotonic() < deadline, f"nothing answers at {url}"
            time.sleep(0.3)


@dataclass
class Bucket:
    """A bucket of moto's server."""

    client: Any
    port: int

    def environment(self, address: str) -> dict[str, str]:
        """What a process needs to reach it."""
        keys = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "us-east-1"}
        return {"AWS_ENDPOINT_URL": f"http://{address}:{self.port}", **keys}

    def names(self, prefix: str = "") -> list[str]:
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket="bucket", Prefix=prefix)
        return [entry["Key"] for page in pages for entry in page.get("Contents", [])]

    def read(self, name: str) -> bytes:
        content: bytes = self.client.get_object(Bucket="bucket", Key=name)["Body"].read()
        return content

    def download(self, prefix: str, folder: Path) -> None:
        for name in self.names(prefix):
            if not name.endswith("/"):
                file = folder / name.removeprefix(prefix)
                file.parent.mkdir(parents=True, exist_ok=True)
                answer = self.client.get_object(Bucket="bucket", Key=name)
                file.write_bytes(answer["Body"].read())
                written = answer["LastModified"].timestamp()
                os.utime(file, (written, written))

    def ask_for_permission(self, asks: bool) -> None:
        """Whether every request must come from somebody who may, which nobody is."""
        count = b"0" if asks else b"inf"
        url = f"http://127.0.0.1:{self.port}/moto-api/reset-auth"
        request = urllib.request.Request(url, count, {"Content-Type": "text/plain"}, method="POST")
        urllib.request.urlopen(request, timeout=10).close()


@contextmanager
def s3_bucket() -> Iterator[Bucket]:
    import boto3

    port = 21_000 + os.getpid() % 1000
    process = start(sys.executable, "-m", "moto.server", "-H", "0.0.0.0", "-p", str(port))
    try:
        url = f"http://127.0.0.1:{port}"
        wait_until_it_answers(url)
        keys = {"aws_access_key_id": "key", "aws_secret_access_key": "secret"}
        client = boto3.client("s3", region_name="us-east-1", endpoint_url=url, **keys)
        client.create_bucket(Bucket="bucket")
        yield Bucket(client, port)
    finally:
        end(process)


@dataclass
class MLflowServer:
    """`mlflow server` on a SQLite file, which can be killed and started again."""

    folder: Path
    port: int
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def database(self) -> Path:
        return self.folder / "server.db"

    def start(self) -> None:
        command = ["--backend-store-uri", f"sqlite:///{self.database}", "--host", "0.0.0.0", "--port", str(self.port)]
        command += ["--artifacts-destination", str(self.folder / "artifacts"), "--workers", "1", "--allowed-hosts", "*"]
        quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
        self.processes.append(start(sys.executable, "-m", "mlflow", "server", *command, **quiet))
        wait_until_it_answers(f"http://127.0.0.1:{self.port}/health")

    def kill(self) -> None:
        while self.processes:
            end(self.processes.pop())


@contextmanager
def mlflow_server(folder: Path) -> Iterator[MLflowServer]:
    server = MLflowServer(folder, 22_000 + os.getpid() % 1000)
    server.start()
    try:
        yield server
    finally:
        server.kill()


@contextmanager
def redis_server(folder: Path) -> Iterator[int]:
    """Its port."""
    port = 23_000 + os.getpid() % 1000
    options = ["--port", str(port), "--bind", "0.0.0.0", "--protected-mode", "no", "--dir", str(folder)]
    process = start("redis-server", *options)
    try:
        yield port
    finally:
        end(process)
