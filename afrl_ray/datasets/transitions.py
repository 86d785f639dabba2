"""Offline data in memory: one column per quantity, one row per environment step."""

import hashlib
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from afrl_ray.arrays import BoolArray, FloatArray
from afrl_ray.storage import replacing

IndexArray = NDArray[np.int64] | NDArray[np.bool_]

Progress = Callable[[int, int], None]
"""Called with (rows done, rows in all)."""

_FORMAT = "afrl_ray.transitions/1"


@dataclass(frozen=True, eq=False)
class Transitions:
    """N steps (s, a, r, s'); where the rows of an episode stand together, in order, the episode can be told from the
    flags: it ends in the row that is terminated or truncated.

    Raises:
        ValueError: on building, when columns differ in length, have the wrong shape or type, hold values that are not
            finite, or a row is both terminated and truncated.
    """

    observations: FloatArray  # (N, O)
    actions: FloatArray  # (N, A), in the action space's units
    rewards: FloatArray  # (N,)
    next_observations: FloatArray  # (N, O), the state reached, also where the episode ends
    terminations: BoolArray  # (N,), s' is terminal: its value is zero
    truncations: BoolArray  # (N,), the episode was cut after this row, and its value goes on

    def __post_init__(self) -> None:
        for name, column in self.columns().items():
            if not isinstance(column, np.ndarray):
                raise ValueError(f"{name} must be a NumPy array, not {type(column).__name__}")
            dtype = np.bool_ if name in ("terminations", "truncations") else np.float32
            if column.dtype != dtype:
                raise ValueError(f"{name} must be {np.dtype(dtype)}, not {column.dtype}")
            dimensions = 2 if name in ("observations", "actions", "next_observations") else 1
            if column.ndim != dimensions:
                raise ValueError(f"{name} must have {dimensions} dimension(s), not the shape {column.shape}")
            if len(column) != len(self.rewards):
                raise ValueError(f"{name} has {len(column)} rows, but rewards has {len(self.rewards)}")
            if dtype is np.float32 and not np.isfinite(column).all():
                row = int(np.argwhere(~np.isfinite(column))[0, 0])
                raise ValueError(f"{name} holds a value that is not finite, first in row {row}")
        if self.next_observations.shape != self.observations.shape:
            raise ValueError(
                f"next_observations has the shape {self.next_observations.shape}, "
                f"observations {self.observations.shape}"
            )
        if (self.terminations & self.truncations).any():
            row = int(np.argmax(self.terminations & self.truncations))
            raise ValueError(f"row {row} is both terminated and truncated; a terminal state is terminated only")

    def __len__(self) -> int:
        return len(self.rewards)

    @property
    def observation_size(self) -> int:
        return int(self.observations.shape[1])

    @property
    def action_size(self) -> int:
        return int(self.actions.shape[1])

    def columns(self) -> dict[str, NDArray[np.generic]]:
        """The columns by name, without copies."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def subset(self, indices: IndexArray | slice) -> "Transitions":
        """The rows at `indices` (M,), in that order, or where a mask (N,) is true."""
        return Transitions(**{name: column[indices] for name, column in self.columns().items()})  # type: ignore[arg-type]

    def episodes(self) -> list[slice]:
        """The rows of every episode, the unfinished last one included."""
        ends = (np.flatnonzero(self.terminations | self.truncations) + 1).tolist()
        if len(self) > 0 and (not ends or ends[-1] < len(self)):
            ends.append(len(self))
        return [slice(start, end) for start, end in zip([0, *ends[:-1]], ends, strict=False)]

    def episode_returns(self) -> NDArray[np.float64]:
        """Sum of rewards of every finished episode (num_episodes,); an unfinished last one is left out."""
        totals = np.concatenate([[0.0], np.cumsum(self.rewards, dtype=np.float64)])  # (N + 1,)
        ends = np.flatnonzero(self.terminations | self.truncations) + 1
        returns: NDArray[np.float64] = np.diff(totals[ends], prepend=0.0)
        return returns

    def fingerprint(self) -> str:
        """SHA-256 over names, shapes and values of all columns."""
        digest = hashlib.sha256()
        for name, column in self.columns().items():
            digest.update(f"{name} {column.dtype} {column.shape}".encode())
            digest.update(np.ascontiguousarray(column).data)
        return digest.hexdigest()

    def save(self, path: Path) -> None:
        """Write an uncompressed .npz without pickled objects, atomically."""
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.savez(file, allow_pickle=False, format=np.array(_FORMAT), **self.columns())

    @classmethod
    def load(cls, path: Path) -> "Transitions":
        """Read what `save` wrote.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it is not a file of ours, or its columns do not fit together.
        """
        if not path.is_file():
            raise FileNotFoundError(f"no transitions file at {path}")
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays = dict(file)
        except (ValueError, EOFError, zipfile.BadZipFile, TypeError) as error:
            raise ValueError(f"{path} is not an .npz file: {error}") from error
        file_format = str(arrays.pop("format", None))
        names = [field.name for field in fields(cls)]
        if file_format != _FORMAT or sorted(arrays) != sorted(names):
            raise ValueError(f"{path} is not an afrl_ray transitions file (format {file_format})")
        try:
            return cls(**arrays)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
