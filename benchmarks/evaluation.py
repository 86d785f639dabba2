"""Evaluation: episodes per second of 100 episodes under each of 3 conditions, on HalfCheetah-v5.

Ours is `DistributedRollouts` over Ray tasks on all cores. sb3 is Stable-Baselines3's `evaluate_policy` on one
environment, one condition after the other, with the same network as an SB3 TD3 actor and the perturbation in an action
wrapper; one thread. The policy has 256 x 256 units.
"""

import argparse
import os
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch

from afrl_ray.config import Condition, EnvironmentSettings
from afrl_ray.networks import Policy, limit_threads
from afrl_ray.perturbations import Body, Multiplicative, draw_parameters
from afrl_ray.rollouts import DistributedRollouts
from attack_search import random_policy, trained_policy
from side_by_side import Contestant, argument_parser, measure, rate, report
from training import is_installed, quiet_imports, start_ray

ENVIRONMENT = "HalfCheetah-v5"
CONDITIONS: tuple[Condition, ...] = ("normal", "random", "adversarial")
CORES = os.cpu_count() or 1
EPSILON = 0.3


def main() -> None:
    arguments = _arguments()
    limit_threads()
    start_ray(num_cpus=CORES)
    policy = trained_policy("halfcheetah", arguments.policy) or random_policy(ENVIRONMENT)
    deltas = _deltas(policy, arguments.episodes)
    environment = EnvironmentSettings(id=ENVIRONMENT)

    def ours() -> int:
        seeds = np.tile(np.arange(arguments.episodes), len(CONDITIONS))
        runner = DistributedRollouts(policy, environment)
        return len(runner.run(seeds, np.concatenate(list(deltas.values()))).returns)

    DistributedRollouts(policy, environment).run(range(CORES), np.zeros((CORES, policy.action_size)))  # starts workers
    contestants: dict[str, Contestant] = {"ours": lambda: rate(ours)}
    if is_installed("stable_baselines3"):
        evaluate = stable_baselines3(policy, deltas)
        contestants["sb3"] = lambda: rate(evaluate)
    threads = {"ours": CORES, "sb3": 1}
    report("evaluation", measure(contestants, arguments.repeats), arguments, unit="episodes/s", threads=threads)


class Perturbed(gymnasium.ActionWrapper[Any, Any, Any]):
    """Executes a + δ ⊙ a, with the next δ of a list for each episode."""

    def __init__(self, env: gymnasium.Env[Any, Any], deltas: np.ndarray) -> None:
        super().__init__(env)
        self._deltas = iter(deltas)

    def reset(self, **options: Any) -> Any:
        self._delta = next(self._deltas)
        return super().reset(**options)

    def action(self, action: np.ndarray) -> np.ndarray:
        return np.clip(action + self._delta * action, -1.0, 1.0)


def stable_baselines3(policy: Policy, deltas: dict[Condition, np.ndarray]) -> Any:
    """A function that evaluates SB3's copy of `policy` under all conditions and returns the number of episodes."""
    with quiet_imports():
        from stable_baselines3 import TD3
        from stable_baselines3.common.evaluation import evaluate_policy
        from stable_baselines3.common.monitor import Monitor

    model = TD3("MlpPolicy", gymnasium.make(ENVIRONMENT), policy_kwargs={"net_arch": [256, 256]}, device="cpu")
    layers = (layer for layer in policy.actor.layers if isinstance(layer, torch.nn.Linear))
    copies = (layer for layer in model.policy.actor.mu if isinstance(layer, torch.nn.Linear))
    for copy, layer in zip(copies, layers, strict=True):
        copy.load_state_dict(layer.state_dict())

    def evaluate() -> int:
        count = 0
        for own in deltas.values():
            # one more δ: evaluate_policy resets once after its last episode
            environment = Monitor(Perturbed(gymnasium.make(ENVIRONMENT), np.concatenate([own, own[:1]])))
            returns, _ = evaluate_policy(
                model, environment, len(own), deterministic=True, return_episode_rewards=True, warn=False
            )
            count += len(returns)
        return count

    return evaluate


def _deltas(policy: Policy, episodes: int) -> dict[Condition, np.ndarray]:
    generator = np.random.default_rng(0)
    fault = Multiplicative(EPSILON, Body.of(policy))
    bank = fault.parameters.draw(5, generator)
    return {
        condition: draw_parameters(condition, episodes, fault, q=1.0, bank=bank, generator=generator)
        for condition in CONDITIONS
    }


def _arguments() -> argparse.Namespace:
    parser = argument_parser(__doc__, repeats=5)
    parser.add_argument(
        "--policy", type=Path, help="a HalfCheetah policy of ours (.safetensors); random when not given"
    )
    parser.add_argument("--episodes", type=int, default=100, help="episodes per condition (100)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
