"""What MLflow has not taken yet, in memory and on disk, so that neither its outage nor ours loses an entry."""

import hashlib
import json
import time
import uuid
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from afrl_ray.storage import one_line, open_storage

RunStatus = Literal["RUNNING", "FINISHED", "FAILED", "KILLED"]
_MAX_POINTS = 50_000
"""Metric values kept for one run while MLflow is away: some hours of training; then the oldest go."""


@dataclass(frozen=True)
class Point:
    name: str
    value: float
    timestamp: int  # milliseconds; kept when sent again, so that MLflow knows a repetition by it
    step: int


@dataclass
class Unsent:
    """One run's entries, in the order in which they came."""

    parameters: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    points: deque[Point] = field(default_factory=lambda: deque(maxlen=_MAX_POINTS))
    artifacts: deque[tuple[str, str | None]] = field(default_factory=deque)
    status: RunStatus | None = None

    def any(self) -> bool:
        return bool(self.parameters or self.tags or self.points or self.artifacts or self.status)

    def add(self, other: "Unsent") -> None:
        """Append what came later."""
        self.parameters |= other.parameters
        self.tags |= other.tags
        self.points.extend(other.points)
        self.artifacts.extend(other.artifacts)
        self.status = other.status or self.status


class Journal:
    """The unsent entries of the run called `key`, one small file for each time that something could not be sent.

    The files lie in a folder of the run below `location`, a folder or URI, and only while they are needed: no file is
    ever changed, so a kill or a storage without appending does no harm.
    """

    def __init__(self, location: str, key: str, name: str) -> None:
        self.folder = f"{location}/{hashlib.sha256(key.encode()).hexdigest()[:16]}"
        self._head = {"key": key, "name": name}
        self._known: set[str] = set()
        """The files that were read or written here."""

    @property
    def waits(self) -> bool:
        """Whether it has anything, as far as is known here."""
        return bool(self._known)

    def append(self, unsent: Unsent) -> None:
        """Keep entries that are not kept yet."""
        content = self._head | unsent.__dict__
        content |= {"points": [asdict(point) for point in unsent.points], "artifacts": list(unsent.artifacts)}
        filesystem, path = open_storage(self.folder)
        with one_line(self.folder):
            filesystem.create_dir(path, recursive=True)
            name = f"{time.time_ns():020d}-{uuid.uuid4().hex[:8]}"
            with filesystem.open_output_stream(f"{path}/.{name}") as stream:
                stream.write(json.dumps(content).encode())
            filesystem.move(f"{path}/.{name}", f"{path}/{name}.json")
        self._known.add(f"{path}/{name}.json")

    def clear(self) -> None:
        """MLflow has taken everything that was read or written here; what another process has added since stays."""
        if not self._known:
            return
        filesystem, path = open_storage(self.folder)
        with one_line(self.folder):
            for name in sorted(self._known):
                with suppress(FileNotFoundError):
                    filesystem.delete_file(name)
                self._known.remove(name)
            _delete_if_empty(filesystem, path)

    def read(self) -> Unsent:
        """What waits for MLflow; nothing where there is no file."""
        unsent = Unsent()
        self._known = set()
        for name, content in _contents(self.folder):
            self._known.add(name)
            points = deque(Point(**point) for point in content["points"])
            artifacts = deque((path, folder) for path, folder in content["artifacts"])
            unsent.add(Unsent(content["parameters"], content["tags"], points, artifacts, content["status"]))
        return unsent


def waiting_runs(location: str) -> dict[str, str]:
    """Keys and names of the runs that have a journal below `location`."""
    return {content["key"]: content["name"] for _, content in _contents(location)}


def _contents(location: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Path and content of the files below `location`, the oldest of each folder first."""
    from pyarrow.fs import FileSelector

    filesystem, path = open_storage(location)
    with one_line(location):
        found = filesystem.get_file_info(FileSelector(path, allow_not_found=True, recursive=True))
        for name in sorted(one.path for one in found if one.path.endswith(".json")):
            try:
                with filesystem.open_input_stream(name) as stream:
                    content = json.loads(stream.readall())
            except FileNotFoundError:  # sent by another process in the meantime
                continue
            yield name, content


def _delete_if_empty(filesystem: Any, path: str) -> None:
    from pyarrow.fs import FileSelector

    if filesystem.type_name == "local":
        with suppress(OSError):
            Path(path).rmdir()
    elif not filesystem.get_file_info(FileSelector(path, allow_not_found=True)):
        with suppress(FileNotFoundError):
            filesystem.delete_dir(path)
