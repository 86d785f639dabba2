"""Joining a Ray cluster, or starting one on this machine."""

import logging
import os
import signal
import threading
from pathlib import Path
from types import FrameType
from typing import Any, TextIO

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from afrl_ray.config import RuntimeSettings
from afrl_ray.networks import limit_threads
from afrl_ray.scheduling import cluster_address, demands, refusal
from afrl_ray.telemetry.board import publish_for_cluster
from afrl_ray.telemetry.logs import speak_for

_STARTS = 4
"""Attempts at starting Ray on this machine."""


def connect(runtime: RuntimeSettings) -> None:
    """Make Ray available, if it is not yet, and keep this process to one torch thread.

    Raises:
        ConnectionError: there is no cluster at `runtime.address`.
        TimeoutError: Ray could not be started on this machine.
        ValueError: it is the address of a dashboard, or this machine could never give what the settings reserve.
    """
    address = cluster_address(runtime)
    if address and address.startswith("http"):
        raise ValueError(f"{address} takes jobs: write afrl submit CONFIG --address {address}, or join HOST:6379 here")
    limit_threads()
    quiet_ray()
    if ray.is_initialized():
        return
    os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")  # MLflow is where trials are logged
    os.environ.setdefault("TUNE_GLOBAL_CHECKPOINT_S", "3600")  # seconds between two snapshots, which nobody reads
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")  # the new output prints a banner even when it is silenced
    quiet = {"logging_level": logging.ERROR, "log_to_driver": False}
    if address:
        try:
            ray.init(address=address, **quiet)
        except RuntimeError as error:  # of another version of Ray or Python
            raise ValueError(f"cannot join {address}: {' '.join(str(error).split())}") from error
    else:
        _start_here(include_dashboard=False, **quiet)
        _refuse_the_impossible(runtime)
    quiet_ray()
    publish_for_cluster(Path(ray._private.worker._global_node.get_logs_dir_path()))
    _take_sigterm_for_ctrl_c()


def beside_the_driver() -> dict[str, Any]:
    """Options of an actor that takes next to nothing and is of use to this process alone: it is on the same node, and
    never on one that is lost before this process is."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return {"num_cpus": 0, "scheduling_strategy": here}


def _start_here(**options: Any) -> None:
    """A Ray of this process's own, whatever others this machine has or had: Ray would look for the last one that was
    started by hand, dead or alive. It gives up after half a minute, which a busy machine may take to start it."""
    for attempt in range(_STARTS):
        try:
            ray.init(address="local", **options)
        except Exception as error:  # Ray raises no class of its own
            if "timed out during startup" not in str(error):
                raise
            ray.shutdown()
            if attempt == _STARTS - 1:
                raise TimeoutError(f"Ray did not start within {_STARTS} attempts: this machine is too busy") from error
        else:
            return


def quiet_ray(stream: TextIO | None = None) -> None:
    """Errors only: Ray's loggers warn about its own API stack and deprecations. In JSON where ours are, on
    `stream` or standard error."""
    for name in ("ray", "ray.rllib", "ray.tune"):
        logging.getLogger(name).setLevel(logging.ERROR)
    speak_for("ray", stream)


def _take_sigterm_for_ctrl_c() -> None:
    """Job systems ask a process to end by SIGTERM; Ray's own handler would end it before trials are saved."""

    def interrupt(_signal: int, frame: FrameType | None) -> None:
        handler = signal.getsignal(signal.SIGINT)  # Tune has one of its own while it runs
        if not callable(handler):  # shells let their background processes ignore Ctrl-C
            raise KeyboardInterrupt
        handler(signal.SIGINT, frame)

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, interrupt)


def _refuse_the_impossible(runtime: RuntimeSettings) -> None:
    reason = refusal(demands(runtime, on_cluster=False), [node["Resources"] for node in ray.nodes() if node["Alive"]])
    if reason is not None:
        ray.shutdown()
        raise ValueError(reason.replace("the cluster has", "this machine has"))
