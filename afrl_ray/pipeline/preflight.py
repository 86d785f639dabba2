"""Mistakes that the settings alone do not show, found before an experiment starts instead of hours later."""

import functools
from importlib.util import find_spec

import numpy as np

from afrl_ray.attacks.optimizers import require_optimizer
from afrl_ray.config import EnvironmentSettings
from afrl_ray.envs import make_vector_env
from afrl_ray.perturbations import Body, make_fault
from afrl_ray.pipeline.experiment import Experiment


def preflight(experiment: Experiment) -> None:
    """Look at everything that is first needed by the attack stage or after it.

    Raises:
        ValueError: there is no such environment, the optimizer cannot be made, no bound on δ is known for the robot, a
            fault is none that it can have, or the search needs a package that is not installed.
    """
    settings = experiment.settings
    if settings.search is not None and settings.search.method == "optuna" and not find_spec("optuna"):
        raise ValueError(
            'search.method: optuna needs a package that is not installed: pip install "afrl-ray[optuna]", '
            "or write search.method: random"
        )
    require_optimizer(settings.attack)
    faults = [experiment.fault]
    faults += [
        experiment.resolved(condition.fault)
        for condition in settings.evaluation.conditions
        if not isinstance(condition, str)
    ]
    body = body_of(settings.environment)
    for fault in dict.fromkeys(faults):
        _ = make_fault(fault, body).parameters


@functools.cache
def body_of(environment: EnvironmentSettings) -> Body:
    """The robot's body as far as the environment tells: observations are taken to vary by 1.

    Raises:
        ValueError: there is no such environment.
    """
    env = make_vector_env(environment, [0])
    env.close()
    std = np.ones(env.observation_space.shape, dtype=np.float32)
    return Body(env.action_space.low, env.action_space.high, std)
