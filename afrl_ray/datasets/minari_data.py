"""Minari data sets, read and written. Minari is an optional dependency: only these functions import it."""

import copy
import json
import re
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium.envs.registration import EnvSpec
from gymnasium.spaces import Box

from afrl_ray.config import EnvironmentSettings, MinariData
from afrl_ray.datasets.transitions import Progress, Transitions
from afrl_ray.envs import make_vector_env, resolve_environment


class MissingDependencyError(ImportError):
    """An optional dependency is needed; the message says how to install it."""


def _import_minari() -> Any:
    try:
        import minari
        from minari.dataset._storages import hdf5_storage  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError(
            f"Minari data sets need another package ({error}): pip install 'afrl-ray[minari]'"
        ) from error
    return minari


def read_minari(settings: MinariData, progress: Progress | None = None) -> Transitions:
    """All episodes of a Minari data set in their order, in float32.

    An episode that the file ends without either flag is marked truncated in its last row, so that it stays apart from
    the next; the very last one is left as it is.

    Raises:
        MissingDependencyError: Minari is not installed.
        FileNotFoundError: neither a folder nor a local data set has this name.
        ValueError: its observations or actions are not flat vectors, it holds no steps, or its files are damaged.
    """
    dataset = open_minari(settings.dataset)
    with _damage_told(settings.dataset):
        return _read(dataset, settings, progress)


@contextmanager
def _damage_told(dataset: str) -> Iterator[None]:
    """Minari checks no files: what it stumbles over is said to be damaged."""
    try:
        yield
    except FileNotFoundError:
        raise
    except (AssertionError, AttributeError, KeyError, OSError, TypeError, json.JSONDecodeError) as error:
        reason = f"{type(error).__name__} {error}".strip()
        raise ValueError(f"the Minari data set {dataset} cannot be read, its files are damaged ({reason})") from error


def _read(dataset: Any, settings: MinariData, progress: Progress | None) -> Transitions:
    for role, space in (("observation", dataset.observation_space), ("action", dataset.action_space)):
        if not isinstance(space, Box) or len(space.shape) != 1:
            raise ValueError(
                f"the Minari data set {settings.dataset} has the {role} space {space}; only flat Boxes can be used"
            )
    rows = min(dataset.total_steps, settings.transitions or dataset.total_steps)
    if rows == 0:
        raise ValueError(f"the Minari data set {settings.dataset} holds no steps")
    parts: list[tuple[np.ndarray, ...]] = []
    done = 0
    for episode in dataset.iterate_episodes():
        if done >= rows:
            break
        terminations = np.asarray(episode.terminations, dtype=np.bool_)
        truncations = np.asarray(episode.truncations, dtype=np.bool_) & ~terminations
        done += len(terminations)
        if done < dataset.total_steps and len(terminations):
            truncations[-1] = not terminations[-1]
        observations = np.asarray(episode.observations, dtype=np.float32)  # (T + 1, O)
        actions, rewards = (np.asarray(column, dtype=np.float32) for column in (episode.actions, episode.rewards))
        parts.append((observations[:-1], actions, rewards, observations[1:], terminations, truncations))
        if progress is not None:
            progress(min(done, rows), rows)
    return Transitions(*(np.concatenate(column)[:rows] for column in zip(*parts, strict=True)))


def open_minari(dataset: str) -> Any:
    """The Minari data set of this name, or in this folder; nothing of it is read yet.

    Raises:
        MissingDependencyError: Minari is not installed.
        FileNotFoundError: neither a folder nor a local data set has this name.
        ValueError: its files are damaged.
    """
    minari = _import_minari()
    if (folder := _folder(dataset)) is not None:
        with _damage_told(dataset):
            return minari.MinariDataset(folder)
    root = _root(minari)
    try:
        with _damage_told(dataset):
            return minari.load_dataset(dataset)
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"no Minari data set {dataset}: it is neither a data set's folder nor in {root}; "
            f"download it with: minari download {dataset}"
        ) from error


def minari_files(dataset: str) -> list[Path]:
    """The files of a Minari data set, or of the one in this folder.

    Raises:
        MissingDependencyError: Minari is not installed.
        FileNotFoundError: neither a folder nor a local data set has this name.
    """
    folder = _folder(dataset) or _root(_import_minari()) / dataset
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    if not files:
        raise FileNotFoundError(f"no Minari data set {dataset}")
    return files


def _folder(dataset: str) -> Path | None:
    """The folder with the data of the data set in this folder, if it is one."""
    folder = Path(dataset).expanduser()
    return next((one for one in (folder / "data", folder) if (one / "metadata.json").is_file()), None)


def _root(minari: Any) -> Path:
    return Path(minari.storage.get_dataset_path(""))


def save_minari(
    transitions: Transitions, dataset_id: str, environment: EnvironmentSettings, description: str | None = None
) -> Path:
    """Write `transitions` as the local Minari data set `dataset_id` (mujoco/hopper/mine-v0); returns its folder.

    Observations are stored in float32, exactly as they are. A write that fails leaves no data set behind.

    Raises:
        MissingDependencyError: Minari is not installed.
        FileExistsError: there is a data set of this name.
        ValueError: the name is malformed, or the rows are not whole episodes in order.
    """
    minari = _import_minari()
    if not re.fullmatch(r"([-\w]+/)*[-\w]+-v\d+", dataset_id):
        raise ValueError(f"{dataset_id!r} is not a Minari name; write it like mujoco/hopper/mine-v0")
    folder = _root(minari) / dataset_id
    if folder.exists():
        raise FileExistsError(
            f"the Minari data set {dataset_id} exists at {folder}; choose another name, or: minari delete {dataset_id}"
        )
    buffers = [_episode_buffer(minari, transitions, rows) for rows in transitions.episodes()]
    env = make_vector_env(environment, [0])
    action_space = env.action_space
    env.close()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Minari warns about every piece of metadata that is not given
            minari.create_dataset_from_buffers(
                dataset_id,
                buffers,
                env=_environment_spec(environment),
                observation_space=Box(-np.inf, np.inf, (transitions.observation_size,), np.float32),
                action_space=action_space,
                description=description,
            )
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return folder


def _environment_spec(environment: EnvironmentSettings) -> EnvSpec | None:
    """How Gymnasium makes this environment; None where only EnvPool knows it."""
    environment_id = resolve_environment(environment.id)
    if environment_id not in gymnasium.registry:
        return None
    spec = copy.deepcopy(gymnasium.spec(environment_id))
    spec.max_episode_steps = environment.max_episode_steps
    return spec


def _episode_buffer(minari: Any, transitions: Transitions, rows: slice) -> Any:
    observations, next_observations = transitions.observations[rows], transitions.next_observations[rows]
    if not np.array_equal(observations[1:], next_observations[:-1]):
        row = rows.start + int(np.argmax((observations[1:] != next_observations[:-1]).any(axis=1)))
        raise ValueError(
            f"rows {row} and {row + 1} do not follow each other; Minari stores whole episodes, in order and unsampled"
        )
    return minari.data_collector.EpisodeBuffer(
        observations=np.concatenate([observations, next_observations[-1:]]),
        actions=transitions.actions[rows],
        rewards=transitions.rewards[rows],
        terminations=transitions.terminations[rows],
        truncations=transitions.truncations[rows],
    )
