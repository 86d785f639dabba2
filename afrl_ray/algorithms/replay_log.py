"""Rows of a replay on storage, each written once: a checkpoint only names the files that its rows lie in."""

import uuid
from collections import deque
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from afrl_ray.storage import open_storage, sync

_CHECKPOINTS_SERVED = 5
"""So many of the latest checkpoints keep their rows; Tune is told to keep three."""


@dataclass(frozen=True)
class Segment:
    """One file of consecutive rows, `start` to `stop`, counted over the replay's whole life."""

    file: str
    start: int
    stop: int


class ReplayLog:
    """Files of rows in a folder or below a URI; no file is ever written twice.

    A run that went back to an earlier checkpoint writes files of its own beside those of its first attempt.
    """

    def __init__(self, location: str) -> None:
        self.location = location
        self._filesystem, self._path = open_storage(location)
        self._segments: list[Segment] = []
        self._first_rows: deque[int] = deque(maxlen=_CHECKPOINTS_SERVED)

    @property
    def stop(self) -> int:
        """The number of the first row that is not written yet; 0 where none is."""
        return self._segments[-1].stop if self._segments else 0

    def append(self, rows: NDArray[np.float32], start: int) -> None:
        """Write rows `start` to `start + len(rows)` (n, width) as one more file."""
        if not len(rows):
            return
        segment = Segment(f"rows-{start:010d}-{uuid.uuid4().hex[:8]}.npy", start, start + len(rows))
        self._filesystem.create_dir(self._path, recursive=True)
        file = f"{self._path}/{segment.file}"
        with self._filesystem.open_output_stream(file) as stream:
            npy.write_array(stream, np.ascontiguousarray(rows), allow_pickle=False)
        if self._filesystem.type_name == "local":
            sync(Path(file))
            sync(Path(self._path))
        self._segments.append(segment)

    def serve(self, first_row: int) -> list[Segment]:
        """The files of a checkpoint whose oldest row is `first_row`; those that no recent one needs are deleted."""
        self._first_rows.append(first_row)
        if len(self._first_rows) == _CHECKPOINTS_SERVED:
            oldest = min(self._first_rows)
            while self._segments and self._segments[0].stop <= oldest:
                self._filesystem.delete_file(f"{self._path}/{self._segments.pop(0).file}")
        return [segment for segment in self._segments if segment.stop > first_row]

    def go_on_from(self, segments: list[Segment]) -> None:
        """What comes next follows these files."""
        self._segments = list(segments)
        self._first_rows.clear()
        if segments:
            self._first_rows.append(segments[0].start)

    def delete(self) -> None:
        """Take everything away; checkpoints that name these files are lost."""
        from pyarrow.fs import FileType

        if self._filesystem.get_file_info(self._path).type == FileType.Directory:
            self._filesystem.delete_dir(self._path)
        self.go_on_from([])

    def holds(self, segments: list[Segment]) -> bool:
        """Whether all these files are here."""
        from pyarrow.fs import FileType

        found = self._filesystem.get_file_info([f"{self._path}/{segment.file}" for segment in segments])
        return all(one.type == FileType.File for one in found)

    def read(self, segment: Segment) -> NDArray[np.float32]:
        """The rows of one file, (n, width).

        Raises:
            FileNotFoundError: it is not there.
        """
        with self._filesystem.open_input_stream(f"{self._path}/{segment.file}") as stream:
            rows: NDArray[np.float32] = npy.read_array(stream, allow_pickle=False)
        return rows
