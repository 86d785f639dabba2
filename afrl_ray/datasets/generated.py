"""Offline data rolled out from a policy, so that nothing has to be downloaded."""

import math
from importlib import resources
from pathlib import Path

import numpy as np

from afrl_ray.arrays import BoolArray, FloatArray
from afrl_ray.config import EnvironmentSettings, GeneratedData
from afrl_ray.datasets.transitions import Progress, Transitions
from afrl_ray.envs import VectorEnv, check_policy_fits, find_robot, make_vector_env, robots
from afrl_ray.networks import Policy, load_policy_file
from afrl_ray.seeding import derive_seed

_MAX_ENVS = 32
"""Environments stepped together; part of what the data depend on, so a constant. Beyond it the policy's forward pass
gains little, and the rows of unfinished episodes thrown away at the end grow."""


def expert_path(environment_id: str) -> Path:
    """The policy shipped for the robot behind `environment_id` (a short name or a Gymnasium id).

    Raises:
        ValueError: it is none of our robots.
        FileNotFoundError: this installation has no expert for it.
    """
    robot = find_robot(environment_id)
    if robot is None:
        names = ", ".join(known.name for known in robots.ROBOTS)
        raise ValueError(
            f"no expert is bundled for {environment_id}, only for {names}; set data.policy to the file of a policy"
        )
    path = Path(str(resources.files("afrl_ray") / "assets" / "experts" / f"{robot.name}.safetensors"))
    if not path.is_file():
        raise FileNotFoundError(
            f"no expert is bundled for {robot.name}; run `afrl train-expert {robot.name}`, "
            f"then set data.policy to the expert.safetensors it leaves in runs/expert-{robot.name}"
        )
    return path


def load_data_policy(settings: GeneratedData, environment: EnvironmentSettings) -> Policy:
    """The policy that `settings` names.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the robot has no bundled expert, or the file is not a policy.
    """
    bundled = settings.policy == "bundled"
    path = expert_path(environment.id) if bundled else Path(settings.policy).expanduser()
    return load_policy_file(path)[0]


def generate_transitions(
    policy: Policy,
    settings: GeneratedData,
    environment: EnvironmentSettings,
    seed: int,
    *,
    num_threads: int = 1,
    progress: Progress | None = None,
) -> Transitions:
    """`settings.transitions` rows of `policy` acting, one whole episode after the other.

    Episodes are kept in the order they began, whatever their length: keeping the first to *finish* would favour
    short ones. The last episode is cut where the rows are full, and left unfinished: its return is no episode's.

    Raises:
        ValueError: the environment is unknown, or of other sizes than the policy.
    """
    check_policy_fits(policy, environment, "the policy")
    num_envs = min(_MAX_ENVS, math.ceil(settings.transitions / environment.max_episode_steps))
    env = make_vector_env(
        environment, [derive_seed(seed, "data", "environment", index) for index in range(num_envs)], num_threads
    )
    try:
        generator = np.random.default_rng(derive_seed(seed, "data", "exploration"))
        return _roll_out(policy, env, settings.transitions, settings.exploration_noise, generator, progress)
    finally:
        env.close()


def _roll_out(
    policy: Policy, env: VectorEnv, rows: int, noise: float, generator: np.random.Generator, progress: Progress | None
) -> Transitions:
    low, high = env.action_space.low, env.action_space.high
    noise_scale = noise * (high - low) / 2  # (A,)
    episode_of_env = np.arange(env.num_envs)
    lengths = [0] * env.num_envs  # rows so far of every episode begun
    running = np.ones(env.num_envs, dtype=np.bool_)
    observations = env.reset()  # (num_envs, O)
    total = 0
    episode_of_rows: list[np.ndarray] = []
    parts: list[tuple[FloatArray, FloatArray, FloatArray, FloatArray, BoolArray, BoolArray]] = []

    while running.any():
        ids = np.flatnonzero(running).astype(np.int32)
        actions = policy.act(observations[ids])
        if noise > 0:
            actions = actions + noise_scale * generator.standard_normal(actions.shape, dtype=np.float32)
        actions = np.clip(actions, low, high)
        result = env.step(actions, ids)
        parts.append(
            (observations[ids], actions, result.rewards, result.observations, result.terminations, result.truncations)
        )
        episode_of_rows.append(episode_of_env[ids])
        observations[ids] = result.observations
        for episode in episode_of_env[ids]:
            lengths[episode] += 1
        total += len(ids)

        ended = ids[result.terminations | result.truncations]
        if total < rows:
            for env_id in ended:
                episode_of_env[env_id] = len(lengths)
                lengths.append(0)
            if len(ended):
                observations[ended] = env.reset(ended)
        else:  # enough rows exist: only episodes that begin before the cut still matter
            running[ended] = False
            begins = np.cumsum([0, *lengths[:-1]])  # first row of every episode
            ends = begins + lengths
            running &= (begins[episode_of_env] < rows) & (ends[episode_of_env] < rows)
        if progress is not None:
            progress(min(total, rows), rows)

    order = np.argsort(np.concatenate(episode_of_rows), kind="stable")[:rows]
    columns = [np.concatenate(column)[order] for column in zip(*parts, strict=True)]
    return Transitions(*columns)
