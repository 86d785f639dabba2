"""Attack search: environment steps per second, and the time to an attack of equal strength.

Speed, on HalfCheetah-v5 with a 256 x 256 policy: ours is the search of a bank over Ray tasks on all cores, policy
calls, nevergrad and racing included. plain is a loop over one Gymnasium environment with one torch policy call per
step and one thread. envpool steps EnvPool alone, asynchronously and on all cores, with the same random actions always.

Equal strength, on each robot that there is a trained policy for: environment steps of plain differential evolution
for the strength of ours, over those of ours (see equal_strength.py), times the speed of ours over the plain loop's.
"""

import argparse
import os
import sys
from pathlib import Path

import numpy as np
import torch

from afrl_ray.attacks.search import search_bank
from afrl_ray.config import AttackSettings, EnvironmentSettings
from afrl_ray.envs import find_robot, make_vector_env
from afrl_ray.networks import Policy, limit_threads, load_policy_file
from afrl_ray.perturbations import Body, Multiplicative
from equal_strength import compare
from side_by_side import argument_parser, measure, rate, report
from training import start_ray

SPEED_ENVIRONMENT = "HalfCheetah-v5"
EXPERTS = Path(__file__).parents[1] / "afrl_ray" / "assets" / "experts"
CORES = os.cpu_count() or 1
BANK = 5
"""Searches made together: as many as the pipeline makes for a training bank."""
EPSILON = 0.3


def main() -> None:
    arguments = _arguments()
    limit_threads()
    start_ray(num_cpus=CORES)
    policy = trained_policy("halfcheetah", arguments.policy) or random_policy(SPEED_ENVIRONMENT)

    fault = Multiplicative(EPSILON, Body.of(policy))

    def plain() -> int:
        return plain_loop(policy, SPEED_ENVIRONMENT, arguments.plain_steps)

    def envpool() -> int:
        return envpool_alone(SPEED_ENVIRONMENT, arguments.envpool_steps)

    def ours(generations: int = arguments.generations) -> int:
        settings = AttackSettings(generations=generations)
        results = search_bank(policy, EnvironmentSettings(id=SPEED_ENVIRONMENT), settings, fault, range(BANK))
        return sum(result.environment_steps for result in results)

    ours(generations=1)  # the first tasks start the workers
    contestants = {"ours": lambda: rate(ours), "plain": lambda: rate(plain), "envpool": lambda: rate(envpool)}
    rates = measure(contestants, arguments.repeats)
    ratios = {}
    for name in arguments.robots:
        attacked = trained_policy(name, arguments.policy if name == "halfcheetah" else None)
        if attacked is None:
            print(f"equal strength on {name}: left out, there is no trained policy", file=sys.stderr)
        else:
            ratios[f"equal_strength_{name}"] = equal_strength(name, attacked, arguments.runs, arguments.plain_steps)
    if ratios:
        ratios["equal_strength"] = min(ratios.values())
    threads = {"ours": CORES, "plain": 1, "envpool": CORES}
    report("attack_search", rates, arguments, unit="environment steps/s", threads=threads, extra_ratios=ratios)


def equal_strength(name: str, policy: Policy, runs: int, plain_steps: int) -> float:
    """Seconds of a plain loop around plain differential evolution over ours."""
    robot = find_robot(name)
    assert robot is not None  # argparse allows no other
    environment_id = robot.environment_ids[0]
    steps_ratio, speed = compare(policy, EnvironmentSettings(id=environment_id), robot.epsilon, runs)
    plain_speed = rate(lambda: plain_loop(policy, environment_id, plain_steps))
    print(f"{environment_id}: ours {speed:,.0f} steps/s, plain loop {plain_speed:,.0f} steps/s", file=sys.stderr)
    return steps_ratio * speed / plain_speed


def plain_loop(policy: Policy, environment_id: str, steps: int) -> int:
    """One Gymnasium environment, one policy call per step, a new δ for each episode."""
    import gymnasium

    environment = gymnasium.make(environment_id)
    generator = np.random.default_rng(0)
    low, high = policy.action_low, policy.action_high
    observation, _ = environment.reset(seed=0)
    delta = generator.uniform(-EPSILON, EPSILON, policy.action_size).astype(np.float32)
    for _ in range(steps):
        with torch.inference_mode():
            action = policy(torch.as_tensor(observation, dtype=torch.float32)[None])[0].numpy()
        observation, _, terminated, truncated, _ = environment.step(np.clip(action + delta * action, low, high))
        if terminated or truncated:
            observation, _ = environment.reset()
            delta = generator.uniform(-EPSILON, EPSILON, policy.action_size).astype(np.float32)
    environment.close()
    return steps


def envpool_alone(environment_id: str, steps: int) -> int:
    """Half of the environments are stepped while the other half waits to be answered."""
    import envpool

    batch_size = 32 * CORES
    environments = envpool.make(
        environment_id, env_type="gymnasium", num_envs=2 * batch_size, batch_size=batch_size, num_threads=CORES
    )
    space = environments.action_space
    actions = np.random.default_rng(0).uniform(-1, 1, (batch_size, *space.shape)).astype(space.dtype)
    environments.async_reset()
    for _ in range(steps // batch_size):
        answer = environments.recv()
        environments.send(actions, answer[-1]["env_id"])
    return steps // batch_size * batch_size


def trained_policy(robot_name: str, path: Path | None) -> Policy | None:
    """The policy at `path`, or the robot's bundled expert, or None."""
    path = path or EXPERTS / f"{robot_name}.safetensors"
    return load_policy_file(path)[0] if path.exists() else None


def random_policy(environment_id: str) -> Policy:
    """Untrained weights, always the same: as fast as trained ones."""
    env = make_vector_env(EnvironmentSettings(id=environment_id), [0])
    observation_size, actions = env.observation_space.shape[0], env.action_space
    env.close()
    torch.manual_seed(0)
    return Policy(observation_size, actions.low, actions.high, (256, 256)).eval()


def _arguments() -> argparse.Namespace:
    parser = argument_parser(__doc__, repeats=3)
    parser.add_argument("--policy", type=Path, help="a trained HalfCheetah policy of ours (.safetensors)")
    parser.add_argument(
        "--robots",
        nargs="*",
        choices=("hopper", "halfcheetah", "walker2d", "ant"),
        default=("hopper", "halfcheetah"),
        help="robots for equal strength (hopper and halfcheetah); none for the speeds alone",
    )
    parser.add_argument("--runs", type=int, default=3, help="searches of each kind for equal strength (3)")
    parser.add_argument("--generations", type=int, default=4, help="generations of ours in one measurement (4)")
    parser.add_argument("--plain-steps", type=int, default=30_000, help="steps of plain in one measurement (30000)")
    parser.add_argument("--envpool-steps", type=int, default=300_000, help="steps of envpool in one (300000)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
