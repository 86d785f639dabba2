"""The runs of one experiment: a parent for the whole, a child per stage and per trial."""

import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from afrl_ray.config import TrackingSettings
from afrl_ray.telemetry.board import board
from afrl_ray.telemetry.metrics import TRACKING_UNSENT
from afrl_ray.tracking.connection import Connection
from afrl_ray.tracking.database import keep_first
from afrl_ray.tracking.location import artifact_root, default_uri
from afrl_ray.tracking.run import TrackedRun

IDENTITY_FILE = "tracking_id"
_UNSENT = "unsent"
_PARENTS: WeakValueDictionary[str, TrackedRun] = WeakValueDictionary()
"""The parent runs of this process by key."""


class ExperimentTracker:
    """Finds or creates the runs of the experiment in `output_directory`; small, picklable, and silent if disabled.

    The runs' keys begin with a random identity kept in a file of that folder: a restored experiment continues its
    runs, even in a folder that was moved, while an experiment begun anew in an emptied folder, or in a folder of the
    same name on another machine, gets its own. So does one in the same folder with another `variant`: MLflow never
    changes a parameter, and a metric's steps only rise, so that one run cannot tell of two settings.
    """

    def __init__(
        self,
        settings: TrackingSettings,
        output_directory: Path,
        name: str,
        *,
        variant: str = "",
        location: str | None = None,
        neighbour: Path | None = None,
    ) -> None:
        """`variant` tells apart what was done in one folder with different settings. `location` is the URI of which the
        output folder is a working copy, where there is one.

        Without a tracking URI a SQLite file beside `neighbour` is used, or beside the output folder.
        """
        neighbour = neighbour or output_directory
        self.uri = default_uri(settings, neighbour)
        connection = Connection(self.uri, settings.experiment, artifact_root(self.uri, neighbour), settings.enabled)
        identity = _find_or_make_identity(output_directory) if settings.enabled else ""
        key = f"{identity}-{variant}" if variant else identity
        self._parent = TrackedRun(connection, key, name, f"{location or output_directory.absolute()}/{_UNSENT}")
        if settings.enabled:
            _PARENTS[key] = self._parent

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Tune restores its callbacks from a file, their tracker too: it then writes to the runs that this process has
        open already, so that nothing is known, kept or sent twice."""
        self.__dict__.update(state)
        self._parent = _PARENTS.setdefault(self._parent.key, self._parent)
        self.uri = self._parent.uri

    def parent_run(self, parameters: Mapping[str, Any] | None = None) -> TrackedRun:
        """The run of the whole pipeline or sweep; as a context manager it is finished, failed or killed at its end."""
        self._parent.adopt()
        if parameters:
            self._parent.log_parameters(parameters)
        return self._parent

    def child_run(
        self, key: str, *, name: str | None = None, parameters: Mapping[str, Any] | None = None
    ) -> TrackedRun:
        """The run of the stage or trial called `key`, shown as `name`."""
        child = self._parent.child(key, name)
        if parameters:
            child.log_parameters(parameters)
        return child

    def flush(self, *, force: bool = False) -> bool:
        """Send what any run still keeps; True when nothing is left."""
        sent = self._parent.flush(force=force)
        TRACKING_UNSENT.set(self._parent.unsent)
        board.queue("values for MLflow", self._parent.unsent)
        return sent


def _find_or_make_identity(folder: Path) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / IDENTITY_FILE
    if file.exists() and not _read(file):
        file.unlink()  # of a process that was killed before it had written
    if not file.exists():
        identity = uuid.uuid4().hex
        temporary = file.with_name(f".{file.name}.{identity}")
        try:
            temporary.write_text(identity, encoding="ascii")
            keep_first(temporary, file)
        finally:
            temporary.unlink(missing_ok=True)
    return _read(file)


def _read(file: Path) -> str:
    return file.read_text(encoding="ascii").strip()
