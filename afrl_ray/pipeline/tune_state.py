"""What Tune keeps of a sweep: written whole in folders, and looked at before Tune goes on from it.

Where Tune cannot read its state it begins the sweep anew and says so only in a log.
"""

import fnmatch
import io
import json
import uuid
from pathlib import Path
from typing import Any

from fsspec.implementations.local import LocalFileSystem
from pyarrow.fs import FileSelector, FileType, FSSpecHandler, PyFileSystem
from ray import cloudpickle
from ray.tune.callback import CallbackList
from ray.tune.execution.tune_controller import TuneController
from ray.tune.search.basic_variant import BasicVariantGenerator
from ray.tune.utils.serialization import _loads_with_cloudpickle

from afrl_ray.config.location import is_uri
from afrl_ray.storage import StorageError, one_line, open_storage, put_in_place

_TUNER = "tuner.pkl"
_STATE = TuneController.CKPT_FILE_TMPL.format("*")
_SEARCH = BasicVariantGenerator.CKPT_FILE_TMPL.format("*")
_CALLBACKS = CallbackList.CKPT_FILE_TMPL.format("*")


def tune_filesystem(location: str) -> Any:
    """The file system to hand to Tune for results at `location`; None, for its own, where that is a URI.

    Objects of a store are whole anyway. In a folder Tune would overwrite its state in place, about once a second.
    """
    return None if is_uri(location) else PyFileSystem(FSSpecHandler(_WholeFiles()))


def can_go_on(path: str) -> bool:
    """Whether Tune has a sweep at `path`, a folder or URI, that it can go on with; False where nothing is kept of any.

    Raises:
        StorageError: there are checkpoints of trials, but Tune could not read which.
    """
    filesystem, folder = open_storage(path)
    with one_line(path):
        found = filesystem.get_file_info(FileSelector(folder, allow_not_found=True))
        damaged = _damaged_file(filesystem, folder, [one.base_name for one in found if one.type == FileType.File])
        if damaged is None:
            return True
        trials = [one.path for one in found if one.type == FileType.Directory and one.base_name.startswith("trial_")]
        if not any(filesystem.get_file_info(FileSelector(trial)) for trial in trials):
            return False
    raise StorageError(
        f"{path}/{damaged} is damaged, missing or of another version of afrl_ray, so the trials there cannot go on: "
        f"put a copy of it back, or move {path.rpartition('/')[0]} elsewhere to begin them anew"
    )


def _damaged_file(filesystem: Any, folder: str, files: list[str]) -> str | None:
    """The first of the files that Tune reads, always the newest of a kind, that it could not use."""
    for pattern in (_STATE, _TUNER, _SEARCH, _CALLBACKS):
        name = max(fnmatch.filter(files, pattern), default=None)
        if name is None:
            if pattern == _CALLBACKS:  # only there if one of them has a state
                continue
            return pattern
        with filesystem.open_input_stream(f"{folder}/{name}") as stream:
            content = bytes(stream.readall())
        try:
            if pattern != _STATE:
                cloudpickle.loads(content)
            elif not _loads_with_cloudpickle(content)["trial_data"]:
                return name
        except Exception:  # a damaged pickle may lead to any
            return name
    return None


class _WholeFiles(LocalFileSystem):  # type: ignore[misc]
    """This machine's folders, where a file is what it was before until the new one is complete and on the disk."""

    def _open(self, path: str, mode: str = "rb", **options: Any) -> Any:
        return _WholeFile(Path(path)) if mode == "wb" else super()._open(path, mode, **options)


class _WholeFile(io.BufferedWriter):
    """Is put in place when it is closed, unless it could not be written or is a state that nobody could read."""

    def __init__(self, final: Path) -> None:
        self._final = final
        self._temporary = final.with_name(f".{final.name}.{uuid.uuid4().hex[:8]}")
        self._given_up = False
        super().__init__(io.FileIO(self._temporary, "w"))

    def write(self, content: Any) -> int:
        try:
            return super().write(content)
        except OSError:
            self._given_up = True
            raise

    def close(self) -> None:
        if self.closed:
            return
        try:
            super().close()
        except OSError:
            self._temporary.unlink(missing_ok=True)
            raise
        if self._given_up or self._is_torn_state():
            self._temporary.unlink(missing_ok=True)
        else:
            put_in_place(self._temporary, self._final)

    def __del__(self) -> None:
        self._given_up = True  # whoever wrote it has not closed it
        super().__del__()

    def _is_torn_state(self) -> bool:
        """Tune copies its state from a file that it may be writing anew; the next copy comes a second later."""
        if not fnmatch.fnmatch(self._final.name, _STATE):
            return False
        try:
            json.loads(self._temporary.read_bytes())
        except ValueError:
            return True
        return False
