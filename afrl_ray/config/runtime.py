"""Where and with what an experiment runs, and where it is logged.

None of it is part of what a result is called, though other numbers of processes or a GPU round differently.
"""

from typing import Literal

from pydantic import NonNegativeInt, PositiveInt, field_serializer, model_validator

from afrl_ray.config.base import Settings
from afrl_ray.config.location import without_password
from afrl_ray.config.resources import ResourceSettings


class RuntimeSettings(Settings):
    address: str | None = None
    """Ray cluster to join (HOST:6379 or auto), or for `afrl submit` the one to submit to (http://HOST:8265); without
    it everything runs on this machine."""
    trials_at_once: PositiveInt | None = None
    """At most this many trials run together; as many as fit when not given."""
    resources: ResourceSettings = ResourceSettings()
    """Cores, GPUs and custom resources of each kind of process."""
    num_env_runners: NonNegativeInt = 0
    """Remote env runners per trial; 0 samples inside the trial's own process."""
    attack_workers: PositiveInt | None = None
    """Ray tasks that share an attack search or an evaluation; as many as the cluster has room for when not given."""
    pretrain_threads: PositiveInt = 1
    """Torch threads of pretraining. Two are 1.5 times as fast on two idle cores, and far slower on busy ones."""
    device: Literal["cpu", "cuda"] = "cpu"
    """Where the learner computes."""
    log_format: Literal["text", "json"] = "text"
    """Log lines for people, or one JSON object a line with job, stage and trial."""

    @model_validator(mode="after")
    def _cuda_has_a_gpu(self) -> "RuntimeSettings":
        for name in ("trial", "pretrain"):
            if self.device == "cuda" and getattr(self.resources, name).gpus == 0:
                raise ValueError(
                    f"device cuda needs a GPU, but resources.{name}.gpus is 0; leave it out for a whole one"
                )
        return self

    @model_validator(mode="after")
    def _env_runners_reserve_something(self) -> "RuntimeSettings":
        if self.num_env_runners and self.resources.env_runner.is_empty:
            raise ValueError(
                "resources.env_runner asks for nothing, which Ray has no place for; write cpus: 0.1 or more"
            )
        return self


class TrackingSettings(Settings):
    enabled: bool = True
    uri: str | None = None
    """MLflow tracking URI; MLFLOW_TRACKING_URI of the environment when not given, or else mlflow.db beside the output
    folder. One with a password in it is written into no file; give that in the environment."""
    experiment: str = "afrl"
    """MLflow experiment that the runs appear in."""

    @field_serializer("uri", when_used="json")
    def _keep_passwords_out_of_files(self, uri: str | None) -> str | None:
        return uri if uri is None or without_password(uri) == uri else None
