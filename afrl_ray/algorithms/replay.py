"""A replay of packed rows: one gather fetches whole minibatches."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from ray.rllib.utils.checkpoints import Checkpointable
from torch import Tensor

from afrl_ray.algorithms.replay_log import ReplayLog, Segment
from afrl_ray.storage import replacing

_ROWS_FILE = "rows.npy"
_INDEX_FILE = "rows.json"


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
    """Ring of the last `capacity` transitions, on the learner's device, saved with its contents.

    Rows are numbered in the order in which they came; row i lies in slot i modulo the capacity. With a `log` a
    checkpoint writes the rows that are new since the last one, and otherwise the whole ring.
    """

    def __init__(self, capacity: int, width: int, device: torch.device, log: ReplayLog | None = None) -> None:
        self.capacity = capacity
        self.width = width
        self._log = log
        self._rows = torch.empty((capacity, width), dtype=torch.float32, device=device)
        self._added = 0

    def __len__(self) -> int:
        return min(self._added, self.capacity)

    def add(self, rows: NDArray[np.float32]) -> None:
        """Append rows (n, width), overwriting the oldest ones of a full ring.

        Raises:
            ValueError: the rows have another width.
        """
        if rows.ndim != 2 or rows.shape[1] != self.width:
            raise ValueError(f"replay rows are {self.width} wide, got an array of shape {rows.shape}")
        rows = rows[-self.capacity :]
        self._place(rows, self._added)
        self._added += len(rows)

    def _place(self, rows: NDArray[np.float32], number: int) -> None:
        """Put rows (n, width), n at most the capacity, into the slots of the numbers from `number` on."""
        slot = number % self.capacity
        head = min(len(rows), self.capacity - slot)
        # what comes out of Ray's object store is read-only, and torch wants it writeable
        source = torch.from_numpy(np.require(rows, requirements=["C", "W"]))
        self._rows[slot : slot + head] = source[:head]
        self._rows[: len(rows) - head] = source[head:]

    def _numbered(self, start: int, stop: int) -> NDArray[np.float32]:
        """Rows `start` to `stop`, (n, width), all of which are still in the ring."""
        slot, count = start % self.capacity, stop - start
        head = min(count, self.capacity - slot)
        parts = [self._rows[slot : slot + head].cpu().numpy(), self._rows[: count - head].cpu().numpy()]
        return np.concatenate(parts) if count > head else parts[0]

    def sample(self, num_batches: int, batch_size: int, generator: torch.Generator) -> Tensor:
        """Uniform draws with replacement, (num_batches, batch_size, width)."""
        indices = torch.randint(len(self), (num_batches * batch_size,), generator=generator, device=self._rows.device)
        return self._rows.index_select(0, indices).view(num_batches, batch_size, self.width)

    def get_state(self, *_: Any, **__: Any) -> dict[str, int]:
        return {"position": self._added % self.capacity, "size": len(self), "capacity": self.capacity}

    def set_state(self, state: dict[str, int]) -> None:
        """Where the ring stood; its rows come with `restore_from_path`."""
        self._saved_state = state

    def get_ctor_args_and_kwargs(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return (self.capacity, self.width, self._rows.device), {}

    def save_to_path(self, path: Any = None, *, state: Any = None, filesystem: Any = None, **options: Any) -> str:
        saved = super().save_to_path(path, state=state or self.get_state(), filesystem=filesystem, **options)
        if self._log is None:
            _write_rows(Path(saved), self._rows[: len(self)].cpu().numpy())
        else:
            segments = self._log_new_rows(self._log)
            index = _Index(self._log.location, self._added, self.capacity, self.width, segments)
            (Path(saved) / _INDEX_FILE).write_text(json.dumps(asdict(index), indent=1) + "\n", encoding="utf-8")
        return saved

    def _log_new_rows(self, log: ReplayLog) -> list[Segment]:
        """The files that hold the whole ring, after the rows that none of them held have been written."""
        oldest = self._added - len(self)
        start = max(log.stop, oldest)
        log.append(self._numbered(start, self._added), start)
        return log.serve(oldest)

    def restore_from_path(self, path: Any, *, component: str | None = None, filesystem: Any = None, **_: Any) -> None:
        super().restore_from_path(path, component=component, filesystem=filesystem)
        if self._log is not None:
            self._log.go_on_from([])
        saved, index = self._saved_state, _read_index(Path(path))
        if index is not None and saved["capacity"] == self.capacity:
            self._restore_from_log(index)
            return
        rows = np.load(Path(path) / _ROWS_FILE) if index is None else index.slots(self._find_log(index))
        if rows.shape != (saved["size"], self.width):
            raise ValueError(f"{path}: {_ROWS_FILE} has shape {rows.shape}, expected {(saved['size'], self.width)}")
        is_full = saved["size"] == saved["capacity"]
        if saved["capacity"] == self.capacity:
            self._rows[: len(rows)] = torch.from_numpy(rows)
            self._added = saved["position"] + (self.capacity if is_full else 0)
            return
        # a ring of another size: oldest first, so that it goes on filling or overwriting in order
        rows = np.roll(rows, -saved["position"], axis=0) if is_full else rows
        self._added = 0
        self.add(rows)

    def _find_log(self, index: "_Index") -> ReplayLog:
        """This replay's own log if the files are in it, wherever they were written; else where they were written."""
        if self._log is not None and self._log.holds(index.segments):
            return self._log
        return ReplayLog(index.location)

    def _restore_from_log(self, index: "_Index") -> None:
        log = self._find_log(index)
        for segment in index.segments:
            rows = log.read(segment)
            if rows.shape != (segment.stop - segment.start, self.width):
                raise ValueError(f"{log.location}/{segment.file} has shape {rows.shape}, expected rows of {self.width}")
            missing = max(index.added - index.size - segment.start, 0)  # overwritten before the checkpoint
            self._place(rows[missing:], segment.start + missing)
        self._added = index.added
        if log is self._log:
            log.go_on_from(index.segments)


@dataclass(frozen=True)
class _Index:
    """What a checkpoint says instead of its rows: the last ones of `added`, as many as fit, are in these files."""

    location: str
    added: int
    capacity: int
    width: int
    segments: list[Segment]

    @property
    def size(self) -> int:
        return min(self.added, self.capacity)

    def slots(self, log: ReplayLog) -> NDArray[np.float32]:
        """All rows, (size, width), in the order of the ring's slots."""
        empty = np.empty((0, self.width), dtype=np.float32)
        rows = np.concatenate([empty, *(log.read(segment) for segment in self.segments)])
        return np.roll(rows[len(rows) - self.size :], (self.added - self.size) % self.capacity, axis=0)


def complete_replay(checkpoint: Path, location: str) -> None:
    """Put the rows themselves into a checkpoint that names them, so that it needs nothing outside its folder.

    Args:
        checkpoint: a folder with replays somewhere in it; those that are complete are left alone.
        location: where the log lies.
    """
    for file in sorted(checkpoint.rglob(_INDEX_FILE)):
        index = _read_index(file.parent)
        if index is not None:
            _write_rows(file.parent, index.slots(ReplayLog(location)))
        file.unlink()


def _write_rows(folder: Path, rows: NDArray[np.float32]) -> None:
    with replacing(folder / _ROWS_FILE) as temporary, temporary.open("wb") as file:
        np.save(file, rows)


def _read_index(folder: Path) -> _Index | None:
    """None where the rows themselves are in the folder."""
    file = folder / _INDEX_FILE
    if (folder / _ROWS_FILE).exists() or not file.exists():
        return None
    content = json.loads(file.read_text(encoding="utf-8"))
    return _Index(**{**content, "segments": [Segment(**segment) for segment in content["segments"]]})
