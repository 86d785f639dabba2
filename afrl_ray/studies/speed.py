"""A few seconds of what studies spend their time on, to estimate how long they take on this machine."""

import itertools
import time
from collections.abc import Callable, Iterable

import numpy as np
import torch
from gymnasium.spaces import Box

from afrl_ray.algorithms import CONFIGS
from afrl_ray.algorithms.precision import matrix_product_precision
from afrl_ray.algorithms.update_rule import Batch
from afrl_ray.config import EnvironmentSettings
from afrl_ray.config.algorithm import OffPolicySettings
from afrl_ray.envs import make_vector_env
from afrl_ray.networks import Critic, CriticGradients, ObservationNormalizer, Policy, limit_threads
from afrl_ray.perturbations import projected_gradient_deltas
from afrl_ray.pipeline.cluster import quiet_ray
from afrl_ray.pipeline.progress import progress
from afrl_ray.rollouts import run_episodes
from afrl_ray.studies.cost import Speed, Work

_SECONDS = 0.5
"""Of processor time for each measurement, after a first call that is not counted."""


def measure_speeds(works: Iterable[Work]) -> dict[str, Speed]:
    """By robot: one process with one thread, each algorithm as the works have it."""
    limit_threads()
    quiet_ray()
    wanted: dict[str, dict[OffPolicySettings, None]] = {}
    for work in works:
        wanted.setdefault(work.robot, {})
        if work.algorithm is not None:
            wanted[work.robot][work.algorithm] = None
    total, done = sum(2 + len(algorithms) for algorithms in wanted.values()), itertools.count(1)
    with progress("speeds", total, "speeds") as report:

        def noted(rate: float, note: str) -> float:
            report.update(next(done), note)
            return rate

        return {
            robot: Speed(
                noted(_env_steps(robot), robot),
                {algorithm: noted(_updates(robot, algorithm), robot) for algorithm in algorithms},
                noted(_pgd_steps(robot), robot),
            )
            for robot, algorithms in wanted.items()
        }


def _env_steps(robot: str) -> float:
    """Steps per second of short episodes, of a policy that has learned nothing."""
    environment = EnvironmentSettings(id=robot, max_episode_steps=100)
    observations, actions = _spaces(robot)
    policy = Policy(observations.shape[0], actions.low, actions.high, (256, 256)).eval()
    deltas = np.zeros((32, actions.shape[0]), dtype=np.float32)
    return _rate(lambda: int(run_episodes(policy, environment, np.arange(32), deltas).lengths.sum()))


def _updates(robot: str, algorithm: OffPolicySettings) -> float:
    """Updates per second on one random batch, again and again."""
    config = CONFIGS[type(algorithm)]().training(settings=algorithm)
    observations, actions = _spaces(robot)
    spec = config.get_default_rl_module_spec()
    module = spec.module_class(observation_space=observations, action_space=actions, model_config=spec.model_config)
    rule = config.rule_class(module, config.settings, config.rule_class.optimizers(module, config.settings))
    rows, sizes = config.settings.batch_size, (observations.shape[0], actions.shape[0])
    batch = Batch(
        torch.randn(rows, sizes[0]),
        torch.rand(rows, sizes[1]) - 0.5,
        torch.randn(rows),
        torch.randn(rows, sizes[0]),
        torch.zeros(rows),
        torch.randn(config.rule_class.noise_draws(config.settings), rows, sizes[1]),
    )
    done = 0

    def update() -> int:
        nonlocal done
        for _ in range(10):
            done += 1
            with matrix_product_precision(config.settings.mixed_precision, torch.device("cpu")):
                rule.update(batch, done)
        return 10

    return _rate(update)


def _pgd_steps(robot: str) -> float:
    """Steps of PGD per second, each for a few environments, on a critic that has learned nothing."""
    observation_size, actions = (space.shape[0] for space in _spaces(robot))
    critic = CriticGradients(ObservationNormalizer(observation_size), Critic(observation_size, actions, (256, 256)))
    gradient = critic.at(np.zeros((32, observation_size), dtype=np.float32))

    def descend() -> int:
        projected_gradient_deltas(gradient, torch.rand(32, actions), epsilon=0.3, steps=10, step_size=0.1)
        return 10

    return _rate(descend)


def _spaces(robot: str) -> tuple[Box, Box]:
    """Of observations and actions."""
    env = make_vector_env(EnvironmentSettings(id=robot), [0])
    env.close()
    return env.observation_space, env.action_space


def _rate(work: Callable[[], int]) -> float:
    """Units per second of processor time of `work`, which returns how many it did: as on a machine that is idle."""
    work()
    begin, done = time.process_time(), 0
    while time.process_time() - begin < _SECONDS:
        done += work()
    return done / (time.process_time() - begin)
