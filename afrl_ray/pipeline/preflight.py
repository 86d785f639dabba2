"""Mistakes that the settings alone do not show, found before an experiment starts instead of hours later."""

import numpy as np

from afrl_ray.attacks.search import require_optimizer
from afrl_ray.envs import make_vector_env
from afrl_ray.perturbations import Body, make_fault
from afrl_ray.pipeline.experiment import Experiment


def preflight(experiment: Experiment) -> None:
    """Look at everything that is first needed by the attack stage or after it.

    Raises:
        ValueError: there is no such environment or optimizer, no bound on δ is known for the robot, or a fault is none
            that it can have.
    """
    settings = experiment.settings
    require_optimizer(settings.attack.optimizer)
    faults = [experiment.fault]
    faults += [
        experiment.resolved(condition.fault)
        for condition in settings.evaluation.conditions
        if not isinstance(condition, str)
    ]
    env = make_vector_env(settings.environment, [0])
    body = Body(env.action_space.low, env.action_space.high, np.ones(env.observation_space.shape, dtype=np.float32))
    env.close()
    for fault in dict.fromkeys(faults):
        _ = make_fault(fault, body).parameters
