"""Where and with what an experiment runs, and where it is logged; none of it changes a result."""

from typing import Literal

from pydantic import NonNegativeInt, PositiveFloat, PositiveInt

from afrl_ray.config.base import Settings


class RuntimeSettings(Settings):
    address: str | None = None
    """Ray cluster to join; a local one is started when not given."""
    trials_at_once: PositiveInt | None = None
    """At most this many trials run together; as many as fit when not given."""
    cpus_per_trial: PositiveFloat = 1.0
    num_env_runners: NonNegativeInt = 0
    """Remote env runners per trial; 0 samples inside the trial's own process."""
    attack_workers: PositiveInt | None = None
    """Ray tasks that share an attack search or an evaluation; one per core when not given."""
    pretrain_threads: PositiveInt = 1
    """Torch threads of pretraining. Two are 1.5 times as fast on two idle cores, and far slower on busy ones."""
    device: Literal["cpu", "cuda"] = "cpu"
    """Where the learner computes."""


class TrackingSettings(Settings):
    enabled: bool = True
    uri: str | None = None
    """MLflow tracking URI; sqlite:///mlflow.db beside the output folder when not given."""
    experiment: str = "afrl"
    """MLflow experiment that the runs appear in."""
