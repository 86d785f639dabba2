"""The tiny experiment with its output in a bucket; `output` is a copy of it, made when it has succeeded."""

import json
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath

from faults.hosts import Hosts
from faults.runs import CONFIG, Job, LocalRun, Run
from faults.servers import Bucket, MLflowServer


class InBucket(Run):
    bucket: Bucket
    prefix: str
    """What the names of all its objects begin with, a slash at the end."""

    @property
    def uri(self) -> str:
        return f"s3://bucket/{self.prefix.rstrip('/')}"

    def files(self, pattern: str) -> Iterable[PurePath]:
        names = self.bucket.names(self.prefix + pattern.partition("*")[0])
        files = (PurePosixPath(name.removeprefix(self.prefix)) for name in names)
        return (file for file in files if file.match(pattern))

    def read(self, file: PurePath) -> bytes:
        try:
            return self.bucket.read(f"{self.prefix}{file}")
        except self.bucket.client.exceptions.NoSuchKey as error:
            raise FileNotFoundError(file) from error

    def succeed(self) -> bool:
        resumed = super().succeed()
        self.bucket.download(self.prefix, self.output)
        for index in self.output.glob("runs/*/index.json"):
            for name, entry in json.loads(index.read_text())["entries"].items():
                if entry["object"] != name:  # NAME@VERSION is what counts
                    shutil.rmtree(index.parent / name, ignore_errors=True)  # remains of a killed upload
                    (index.parent / entry["object"]).replace(index.parent / name)
        return resumed


class S3Run(InBucket, LocalRun):
    """On this machine."""

    def __init__(self, folder: Path, bucket: Bucket) -> None:
        self.bucket, self.prefix = bucket, "runs/faults/"
        self.scratch = folder / "scratch"
        environment = bucket.environment("127.0.0.1") | {"AFRL_SCRATCH": str(self.scratch)}
        super().__init__(folder, (f"output={self.uri}",), environment, folder / "runs" / "mlflow.db")


@dataclass
class S3Job(InBucket, Job):
    """A job on hosts that share nothing but the bucket, and log to a server."""

    bucket: Bucket
    mlflow: MLflowServer
    prefix: str = "hosts/runs/job/"

    @staticmethod
    def storage(bucket: Bucket, router: str) -> dict[str, str]:
        """What all hosts know."""
        return bucket.environment(router) | {"AFRL_STORAGE": "s3://bucket/hosts"}

    @classmethod
    def begin(cls, hosts: Hosts, bucket: Bucket, mlflow: MLflowServer, folder: Path) -> "S3Job":
        config = folder / "faults.yaml"
        config.write_text(CONFIG)
        server = f"tracking.uri=http://{hosts.router}:{mlflow.port}"
        return cls(hosts, hosts.afrl("submit", config, "output=runs/job", server), folder / "run", bucket, mlflow)

    def __post_init__(self) -> None:
        self.database = self.mlflow.database
