"""Offline data from every source, as columns in memory."""

import functools
import hashlib
from collections.abc import Sequence
from pathlib import Path

from afrl_ray.config import D4RLData, DataSettings, EnvironmentSettings, GeneratedData, MinariData
from afrl_ray.datasets.d4rl_data import find_d4rl_file, read_d4rl, without_contact_forces
from afrl_ray.datasets.generated import generate_transitions, load_data_policy
from afrl_ray.datasets.minari_data import (
    MissingDependencyError,
    minari_files,
    open_minari,
    read_minari,
    save_minari,
)
from afrl_ray.datasets.normalization import observation_statistics
from afrl_ray.datasets.transitions import Progress, Transitions
from afrl_ray.envs import check_policy_fits, environment_sizes, find_robot
from afrl_ray.envs.robots import d4rl_robot_name

__all__ = [
    "MissingDependencyError",
    "Progress",
    "Transitions",
    "check_source",
    "generate_transitions",
    "load_transitions",
    "observation_statistics",
    "save_minari",
    "source_fingerprint",
]


def check_source(settings: DataSettings, environment: EnvironmentSettings) -> None:
    """What `load_transitions` would refuse, as far as that is known before anything is read or rolled out.

    Raises:
        FileNotFoundError: the policy's file, the data set or the bundled expert is not there.
        MissingDependencyError: the source needs a package that is not installed.
        ValueError: it is of another robot than `environment`, or no policy.
    """
    match settings:
        case GeneratedData():
            check_policy_fits(load_data_policy(settings, environment), environment, "data.policy")
        case D4RLData():
            _check_robot(settings.dataset, environment)
            find_d4rl_file(settings.dataset)
        case MinariData():
            open_minari(settings.dataset)


def source_fingerprint(settings: DataSettings) -> str | None:
    """SHA-256 of the files that the data are read from; None where they are read from none, or these are not here."""
    try:
        match settings:
            case D4RLData():
                return _digest([find_d4rl_file(settings.dataset)])
            case MinariData():
                return _digest(minari_files(settings.dataset))
    except (FileNotFoundError, MissingDependencyError):
        pass
    return None


@functools.cache
def _digest_of(path: Path, _size: int, _changed_ns: int) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _digest(files: Sequence[Path]) -> str:
    found = [(path, path.stat()) for path in files]
    return hashlib.sha256(
        "".join(_digest_of(path, stat.st_size, stat.st_mtime_ns) for path, stat in found).encode()
    ).hexdigest()


def load_transitions(
    settings: DataSettings,
    environment: EnvironmentSettings,
    seed: int,
    progress: Progress | None = None,
    num_threads: int = 1,
) -> Transitions:
    """The transitions that `settings` describe, all rows of an episode together; `seed` is the experiment's.

    `num_threads` step the environments of generated data; the data do not depend on it.

    Raises:
        FileNotFoundError: the file, the data set or the bundled expert is not there.
        MissingDependencyError: the source needs a package that is not installed.
        ValueError: the data cannot be used, or are of another robot than `environment`.
    """
    match settings:
        case MinariData():
            transitions = read_minari(settings, progress)
        case D4RLData():
            _check_robot(settings.dataset, environment)
            transitions = read_d4rl(settings, environment.max_episode_steps, progress)
            transitions = _as_observed(transitions, settings.dataset, environment)
        case _:
            policy = load_data_policy(settings, environment)
            return generate_transitions(policy, settings, environment, seed, num_threads=num_threads, progress=progress)
    _check_sizes(transitions, settings.dataset, environment)
    return transitions


def _check_robot(dataset: str, environment: EnvironmentSettings) -> None:
    """Sizes alone do not tell the half-cheetah from the walker; D4RL's names do."""
    name = d4rl_robot_name(Path(dataset).stem.replace("_", "-"))
    recorded, simulated = find_robot(name or ""), find_robot(environment.id)
    if recorded and simulated and recorded != simulated:
        raise ValueError(
            f"{dataset} is data of {recorded.name}, but environment.id is {environment.id}; "
            f"write environment.id: {recorded.name}"
        )


def _as_observed(transitions: Transitions, dataset: str, environment: EnvironmentSettings) -> Transitions:
    """D4RL's observations without columns that the environment does not have."""
    robot = find_robot(environment.id)
    extra = transitions.observation_size - environment_sizes(environment)[0]
    if robot is None or extra == 0 or extra != robot.contact_force_columns:
        return transitions
    return without_contact_forces(transitions, extra, dataset)


def _check_sizes(transitions: Transitions, dataset: str, environment: EnvironmentSettings) -> None:
    sizes = environment_sizes(environment)
    if (transitions.observation_size, transitions.action_size) != sizes:
        raise ValueError(
            f"{dataset} has {transitions.observation_size} observations and {transitions.action_size} actions, but "
            f"{environment.id} has {sizes[0]} and {sizes[1]}; set environment.id to the robot of the data"
        )
