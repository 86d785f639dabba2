"""What was run, with what and how well, in MLflow; nothing here imports mlflow before the first entry is sent.

`tune_callback` is imported by its own name, so that everything else here works without Ray.
"""

from afrl_ray.tracking.location import default_uri, ui_command
from afrl_ray.tracking.run import RunStatus, TrackedRun
from afrl_ray.tracking.tracker import ExperimentTracker

__all__ = ["ExperimentTracker", "RunStatus", "TrackedRun", "default_uri", "ui_command"]
