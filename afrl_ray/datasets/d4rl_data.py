"""D4RL's HDF5 files (Fu et al. 2020, arXiv:2004.07219), read without the d4rl package."""

import os
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np

from afrl_ray.arrays import BoolArray, FloatArray
from afrl_ray.config import D4RLData
from afrl_ray.datasets.transitions import Progress, Transitions


def d4rl_directory() -> Path:
    """$D4RL_DATASET_DIR, or ~/.d4rl/datasets where it is not set: the folder the d4rl package downloads to."""
    return Path(os.environ.get("D4RL_DATASET_DIR") or "~/.d4rl/datasets").expanduser()


def find_d4rl_file(dataset: str) -> Path:
    """The file behind a path, or behind a D4RL name: hopper-medium-replay-v2 is hopper_medium_replay-v2.hdf5.

    Raises:
        FileNotFoundError: there is none; the message says where it was looked for.
    """
    path = Path(dataset).expanduser()
    if path.is_file():
        return path
    if path.suffix in (".hdf5", ".h5") or len(path.parts) > 1:
        raise FileNotFoundError(f"no D4RL file at {path.absolute()}")
    directory = d4rl_directory()
    for candidate in sorted(directory.glob("*.hdf5")):
        if candidate.stem.replace("_", "-") == dataset.replace("_", "-"):
            return candidate
    raise FileNotFoundError(
        f"no D4RL data set {dataset}: looked for {dataset}.hdf5, with - or _ between its words, in {directory}; "
        "put the file there, set D4RL_DATASET_DIR to its folder, or give its path"
    )


def read_d4rl(settings: D4RLData, max_episode_steps: int, progress: Progress | None = None) -> Transitions:
    """The rows of a D4RL file in float32: `terminals` become terminations, `timeouts` truncations.

    Older files lack some columns, and are completed as D4RL's `qlearning_dataset` does, with episode ends kept:

    - without `timeouts`, an episode times out in its `max_episode_steps`-th row;
    - without `next_observations`, s' is the next row's observation. A row that ends by timeout has none, so it is
      dropped, and the row before it, whose s' is known, becomes the truncated end. The file's last row is dropped
      likewise, unless it is terminal. A terminal row's s' is unknown too but never used, since its value is zero;
      D4RL puts the next episode's first state there, we repeat s.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not HDF5, lacks observations, actions, rewards or terminals, or these are no columns of equal
            length.
    """
    path = find_d4rl_file(settings.dataset)
    try:
        with h5py.File(path, "r") as file:
            columns = _read_columns(file, path)
    except OSError as error:
        raise ValueError(f"{path} is not an HDF5 file: {error}") from error
    terminations = columns["terminals"].reshape(-1).astype(np.bool_)
    if "timeouts" in columns:
        truncations = columns["timeouts"].reshape(-1).astype(np.bool_) & ~terminations
    else:
        truncations = _timeouts(terminations, max_episode_steps)
    try:
        observations, actions, rewards = (
            columns[name].astype(np.float32) for name in ("observations", "actions", "rewards")
        )
        rewards = rewards.reshape(-1)
        if "next_observations" in columns:
            next_observations = columns["next_observations"].astype(np.float32)
            transitions = Transitions(observations, actions, rewards, next_observations, terminations, truncations)
        else:
            transitions = _with_next_observations(observations, actions, rewards, terminations, truncations)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    transitions = transitions.subset(slice(settings.transitions))
    if len(transitions) == 0:
        raise ValueError(f"{path} holds no transitions")
    if progress is not None:
        progress(len(transitions), len(transitions))
    return transitions


def without_contact_forces(transitions: Transitions, columns: int, dataset: str) -> Transitions:
    """The transitions without the last `columns` of their observations, which must be zero.

    D4RL recorded the ant with MuJoCo builds in which its 84 contact forces are always zero; the v4 environment does
    not have them at all.

    Raises:
        ValueError: one of them is not zero: then the data say something that the environment cannot.
    """
    forces = (transitions.observations[:, -columns:], transitions.next_observations[:, -columns:])
    nonzero = np.zeros(len(transitions), dtype=np.bool_)
    for values in forces:
        nonzero |= values.any(axis=1)
    if nonzero.any():
        raise ValueError(
            f"{dataset} has contact forces in {int(nonzero.sum())} of {len(transitions)} rows, which the environment "
            f"does not observe; name an environment with observations of {transitions.observation_size}"
        )
    return replace(
        transitions,
        observations=np.ascontiguousarray(transitions.observations[:, :-columns]),
        next_observations=np.ascontiguousarray(transitions.next_observations[:, :-columns]),
    )


def _read_columns(file: h5py.File, path: Path) -> dict[str, np.ndarray]:
    missing = [name for name in ("observations", "actions", "rewards", "terminals") if name not in file]
    if missing:
        raise ValueError(f"{path} is not a D4RL file: it has no {', '.join(missing)}")
    names = ("observations", "actions", "rewards", "terminals", "timeouts", "next_observations")
    columns = {}
    for name in names:
        if name not in file:
            continue
        column = file[name]
        dimensions = (2,) if "observations" in name or name == "actions" else (1, 2)
        if not isinstance(column, h5py.Dataset) or column.shape is None or column.ndim not in dimensions:
            raise ValueError(f"{path}: {name} is no array with {' or '.join(map(str, dimensions))} dimension(s)")
        columns[name] = column[()]
        if column.size and len(column) != len(columns["observations"]):
            rows = len(columns["observations"])
            raise ValueError(f"{path}: {name} has {len(column)} rows, but observations has {rows}")
    return columns


def _timeouts(terminations: BoolArray, max_episode_steps: int) -> BoolArray:
    """True in every `max_episode_steps`-th row since the last terminal one (N,)."""
    rows = np.arange(len(terminations))
    first_after_terminal = np.where(np.concatenate([[True], terminations[:-1]]), rows, 0)
    steps = rows - np.maximum.accumulate(first_after_terminal)  # since the last terminal row
    timeouts: BoolArray = (steps % max_episode_steps == max_episode_steps - 1) & ~terminations
    return timeouts


def _with_next_observations(
    observations: FloatArray, actions: FloatArray, rewards: FloatArray, terminations: BoolArray, truncations: BoolArray
) -> Transitions:
    next_observations = np.concatenate([observations[1:], observations[-1:]])
    next_observations[terminations] = observations[terminations]
    dropped = truncations.copy()
    dropped[-1:] |= ~terminations[-1:]
    ends = terminations | truncations
    # the row before a timeout ends the episode in its stead, unless it already ends the one before
    truncations = np.concatenate([truncations[1:], [False]]) & ~ends
    return Transitions(observations, actions, rewards, next_observations, terminations, truncations).subset(~dropped)
