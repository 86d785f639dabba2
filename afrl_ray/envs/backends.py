"""Which simulator steps an environment, and batches of environments made with it."""

import ctypes
import functools
import importlib.util
from collections.abc import Sequence
from importlib.metadata import version
from typing import Literal

from afrl_ray.config import EnvironmentSettings
from afrl_ray.envs import envpool_env
from afrl_ray.envs.envpool_env import EnvPoolVectorEnv
from afrl_ray.envs.gymnasium_env import GymnasiumVectorEnv
from afrl_ray.envs.robots import resolve_environment
from afrl_ray.envs.vector import VectorEnv


def chosen_backend(settings: EnvironmentSettings) -> Literal["envpool", "gymnasium"]:
    """The backend that `auto` stands for where the settings leave it open."""
    if settings.backend != "auto":
        return settings.backend
    return "envpool" if envpool_env.is_available(resolve_environment(settings.id)) else "gymnasium"


def make_vector_env(settings: EnvironmentSettings, seeds: Sequence[int], num_threads: int = 1) -> VectorEnv:
    """One environment per seed, ready for `reset`.

    An environment's sequence of initial states depends on its own seed alone, whatever stands beside it in the batch.

    Raises:
        ValueError: the id is unknown, or its spaces are not flat Boxes with bounded actions.
    """
    backend = EnvPoolVectorEnv if chosen_backend(settings) == "envpool" else GymnasiumVectorEnv
    seeds = [int(seed) % 2**31 for seed in seeds]
    return backend(resolve_environment(settings.id), seeds, settings.max_episode_steps, num_threads)


def simulator(settings: EnvironmentSettings) -> dict[str, str]:
    """The backend of an environment, and the version of MuJoCo that this backend computes with."""
    backend = chosen_backend(settings)
    return {"backend": backend, "mujoco": _mujoco_in_envpool() if backend == "envpool" else version("mujoco")}


@functools.cache
def _mujoco_in_envpool() -> str:
    """The version of the MuJoCo that is linked into EnvPool, whatever `mujoco` package stands beside it."""
    library = importlib.util.find_spec("envpool.mujoco.mujoco_gym_envpool")
    try:
        tell = ctypes.CDLL(library.origin).mj_versionString if library else None
    except (OSError, AttributeError):  # another build of EnvPool
        tell = None
    if tell is None:
        return "unknown"
    tell.restype = ctypes.c_char_p
    return str(tell().decode())
