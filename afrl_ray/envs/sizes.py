"""Whether a policy and an environment go together, as far as their sizes tell."""

from typing import TYPE_CHECKING

from afrl_ray.config import EnvironmentSettings
from afrl_ray.envs.backends import make_vector_env

if TYPE_CHECKING:  # torch is not needed to name a robot
    from afrl_ray.networks import Policy


def environment_sizes(environment: EnvironmentSettings) -> tuple[int, int]:
    """Numbers of observations and actions.

    Raises:
        ValueError: the environment is unknown, or its spaces are not flat Boxes with bounded actions.
    """
    env = make_vector_env(environment, [0])
    try:
        return env.observation_space.shape[0], env.action_space.shape[0]
    finally:
        env.close()


def check_policy_fits(policy: "Policy", environment: EnvironmentSettings, name: str) -> None:
    """
    Raises:
        ValueError: `policy`, called `name`, has other observations or actions than the environment; or see
            `environment_sizes`.
    """
    sizes = environment_sizes(environment)
    if (policy.observation_size, policy.action_size) != sizes:
        raise ValueError(
            f"{name} takes {policy.observation_size} observations and gives {policy.action_size} actions, but "
            f"{environment.id} has {sizes[0]} and {sizes[1]}; give the environment it was trained in, or a "
            "policy of this one"
        )
