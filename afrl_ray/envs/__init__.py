"""Robots and the environments that simulate them."""

from afrl_ray.envs.backends import make_vector_env, simulator
from afrl_ray.envs.robots import Robot, find_robot, resolve_environment
from afrl_ray.envs.sizes import check_policy_fits, environment_sizes
from afrl_ray.envs.vector import StepResult, VectorEnv

__all__ = [
    "Robot",
    "StepResult",
    "VectorEnv",
    "check_policy_fits",
    "environment_sizes",
    "find_robot",
    "make_vector_env",
    "resolve_environment",
    "simulator",
]
