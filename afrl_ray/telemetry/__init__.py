"""What a running experiment tells about itself: metrics for Prometheus, log lines, and a report for `afrl jobs status`.

None of it is ever waited for, and none of it can end an experiment.
"""

from afrl_ray.telemetry.labels import bind, bound, job_of
from afrl_ray.telemetry.logs import configure_logs, event, logs_are_json

__all__ = ["bind", "bound", "configure_logs", "event", "job_of", "logs_are_json"]
