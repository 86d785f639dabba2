"""Joining a Ray cluster, or starting one on this machine."""

import logging
import os

import ray

from afrl_ray.config import RuntimeSettings


def connect(runtime: RuntimeSettings) -> None:
    """Make Ray available; does nothing where it already is.

    Raises:
        ConnectionError: there is no cluster at `runtime.address`.
    """
    if ray.is_initialized():
        return
    os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")  # MLflow is where trials are logged
    address = runtime.address or os.environ.get("RAY_ADDRESS")
    quiet = {"logging_level": logging.ERROR, "log_to_driver": False}
    if address:
        ray.init(address=address, **quiet)
    else:
        ray.init(include_dashboard=False, **quiet)
    logging.getLogger("ray").setLevel(logging.ERROR)
