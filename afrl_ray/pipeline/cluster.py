"""Joining a Ray cluster, or starting one on this machine."""

import logging
import os

import ray

from afrl_ray.config import RuntimeSettings
from afrl_ray.networks import limit_threads


def connect(runtime: RuntimeSettings) -> None:
    """Make Ray available, if it is not yet, and keep this process to one torch thread.

    Raises:
        ConnectionError: there is no cluster at `runtime.address`.
    """
    limit_threads()
    quiet_ray()
    if ray.is_initialized():
        return
    os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")  # MLflow is where trials are logged
    os.environ.setdefault("TUNE_GLOBAL_CHECKPOINT_S", "1")  # seconds between two snapshots of a sweep
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")  # the new output prints a banner even when it is silenced
    address = runtime.address or os.environ.get("RAY_ADDRESS")
    quiet = {"logging_level": logging.ERROR, "log_to_driver": False}
    if address:
        ray.init(address=address, **quiet)
    else:
        ray.init(include_dashboard=False, **quiet)
    quiet_ray()


def quiet_ray() -> None:
    """Errors only: Ray's loggers warn about its own API stack and deprecations."""
    for name in ("ray", "ray.rllib", "ray.tune"):
        logging.getLogger(name).setLevel(logging.ERROR)
