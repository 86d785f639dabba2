"""The tiny experiment with its output in a bucket; `output` is a copy of it, made when it has succeeded."""

import json
from dataclasses import dataclass
from pathlib import Path

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

    def steps(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for name in self.bucket.names(f"{self.prefix}finetune/tune/"):
            if name.endswith("/curriculum.json"):
                try:
                    record = json.loads(self.bucket.read(name.replace("curriculum.json", "training.json")))
                except self.bucket.client.exceptions.NoSuchKey:
                    continue
                trial = name.split("/")[-3]
                found[trial] = max(found.get(trial, 0), record["step"])
        return found

    def rows_files(self, trial_id: str) -> set[str]:
        names = self.bucket.names(f"{self.prefix}finetune/replay/{trial_id}/")
        return {name.rpartition("/")[2] for name in names if name.endswith(".npy")}

    def succeed(self) -> bool:
        resumed = super().succeed()
        self.bucket.download(self.prefix, self.output)
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
