"""A replay of packed rows: one gather fetches whole minibatches."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from ray.rllib.utils.checkpoints import Checkpointable
from torch import Tensor

_ROWS_FILE = "rows.npy"


@dataclass(frozen=True)
class RowLayout:
    """Where each column of a transition lies in a packed float32 row: s, a, r, s', d."""

    observation_size: int
    action_size: int

    @property
    def width(self) -> int:
        return 2 * self.observation_size + self.action_size + 2

    def pack(self, columns: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        """Rows (n, width) from columns observations, actions, rewards, next_observations, terminations."""
        return np.concatenate(
            [
                columns["observations"],
                columns["actions"],
                np.reshape(columns["rewards"], (-1, 1)),
                columns["next_observations"],
                np.reshape(columns["terminations"], (-1, 1)),
            ],
            axis=1,
            dtype=np.float32,
        )

    def split(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Views of rows (..., width): s (..., O), a (..., A), r (...), s' (..., O), d (...)."""
        observations, actions, rewards, next_observations, terminations = rows.split(
            [self.observation_size, self.action_size, 1, self.observation_size, 1], dim=-1
        )
        return observations, actions, rewards.squeeze(-1), next_observations, terminations.squeeze(-1)


@dataclass(frozen=True)
class Fragment:
    """What one `EnvRunner.sample` call collected; the two methods are what RLlib asks of it."""

    rows: NDArray[np.float32]  # (n, width)

    def env_steps(self) -> int:
        return len(self.rows)

    def agent_steps(self) -> int:
        return len(self.rows)


class ColumnarReplay(Checkpointable):
    """Ring of the last `capacity` transitions, on the learner's device, saved with its contents."""

    def __init__(self, capacity: int, width: int, device: torch.device) -> None:
        self.capacity = capacity
        self.width = width
        self._rows = torch.empty((capacity, width), dtype=torch.float32, device=device)
        self._position = 0
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def add(self, rows: NDArray[np.float32]) -> None:
        """Append rows (n, width), overwriting the oldest ones of a full ring.

        Raises:
            ValueError: the rows have another width.
        """
        if rows.ndim != 2 or rows.shape[1] != self.width:
            raise ValueError(f"replay rows are {self.width} wide, got an array of shape {rows.shape}")
        rows = rows[-self.capacity :]
        head = min(len(rows), self.capacity - self._position)
        # what comes out of Ray's object store is read-only, and torch wants it writeable
        source = torch.from_numpy(np.require(rows, requirements=["C", "W"]))
        self._rows[self._position : self._position + head] = source[:head]
        self._rows[: len(rows) - head] = source[head:]
        self._position = (self._position + len(rows)) % self.capacity
        self._size = min(self._size + len(rows), self.capacity)

    def sample(self, num_batches: int, batch_size: int, generator: torch.Generator) -> Tensor:
        """Uniform draws with replacement, (num_batches, batch_size, width)."""
        indices = torch.randint(self._size, (num_batches * batch_size,), generator=generator, device=self._rows.device)
        return self._rows.index_select(0, indices).view(num_batches, batch_size, self.width)

    def get_state(self, *_: Any, **__: Any) -> dict[str, int]:
        return {"position": self._position, "size": self._size, "capacity": self.capacity}

    def set_state(self, state: dict[str, int]) -> None:
        """Where the ring stood; its rows come with `restore_from_path`."""
        self._saved_state = state

    def get_ctor_args_and_kwargs(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return (self.capacity, self.width, self._rows.device), {}

    def save_to_path(self, path: Any = None, *, state: Any = None, filesystem: Any = None, **options: Any) -> str:
        saved = super().save_to_path(path, state=state or self.get_state(), filesystem=filesystem, **options)
        temporary = Path(saved) / f".{_ROWS_FILE}"
        with temporary.open("wb") as file:
            np.save(file, self._rows[: self._size].cpu().numpy())
        temporary.replace(Path(saved) / _ROWS_FILE)
        return saved

    def restore_from_path(self, path: Any, *, component: str | None = None, filesystem: Any = None, **_: Any) -> None:
        super().restore_from_path(path, component=component, filesystem=filesystem)
        rows = np.load(Path(path) / _ROWS_FILE)
        saved = self._saved_state
        if rows.shape != (saved["size"], self.width):
            raise ValueError(f"{path}: {_ROWS_FILE} has shape {rows.shape}, expected {(saved['size'], self.width)}")
        if saved["capacity"] != self.capacity:
            # a ring of another size: oldest first, so that it goes on filling or overwriting in order
            rows = np.roll(rows, -saved["position"], axis=0) if saved["size"] == saved["capacity"] else rows
            rows = rows[-self.capacity :]
            saved = {"position": len(rows) % self.capacity, "size": len(rows)}
        self._rows[: len(rows)] = torch.from_numpy(rows)
        self._position, self._size = saved["position"], saved["size"]
