"""What was run, with what and how well, in MLflow; nothing here imports mlflow before the first entry is sent.

`tune_callback` is imported by its own name, so that everything else here works without Ray.
"""

from afrl_ray.tracking.location import default_uri, ui_command
from afrl_ray.tracking.run import TrackedRun
from afrl_ray.tracking.tracker import IDENTITY_FILE, ExperimentTracker
from afrl_ray.tracking.unsent import RunStatus

__all__ = ["IDENTITY_FILE", "ExperimentTracker", "RunStatus", "TrackedRun", "default_uri", "ui_command"]
