"""Which robot, and how its simulation runs."""

from typing import Literal

from pydantic import PositiveInt

from afrl_ray.config.base import Settings


class EnvironmentSettings(Settings):
    id: str = "Hopper-v4"
    """A robot's short name (hopper), or any Gymnasium id with a Box action space (Hopper-v4)."""
    backend: Literal["auto", "envpool", "gymnasium"] = "auto"
    """auto takes EnvPool where it knows the id, and Gymnasium for everything else."""
    max_episode_steps: PositiveInt = 1000
    """Steps after which an episode is truncated."""
