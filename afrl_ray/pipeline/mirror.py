"""The twin of a stage's folder below a URI: stages write plain folders, and only this knows that there is a twin."""

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from afrl_ray.storage import StorageError, one_line, open_storage, put_in_place

INDEX = "index.json"
_RECORD = ".mirror.json"


@dataclass(frozen=True)
class _Entry:
    """One version of a file or folder directly in the stage's folder."""

    object: str
    """Its name below the URI."""
    version: str
    fingerprint: str
    """Of the names, sizes and times in the working copy that it was uploaded from or fetched to."""


@dataclass(frozen=True)
class Index:
    """What counts below the URI: of which work it is, and where the current version of each entry lies."""

    key: str
    entries: dict[str, _Entry] = field(default_factory=dict)

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str | bytes) -> "Index | None":
        """None where the text is no whole index."""
        try:
            content = json.loads(text)
            return cls(content["key"], {name: _Entry(**entry) for name, entry in content["entries"].items()})
        except (ValueError, KeyError, TypeError, AttributeError):
            return None


@dataclass(frozen=True)
class Mirror:
    """The URI is the truth, the folder a working copy that may be lost or out of date.

    A changed entry is uploaded whole under a name that nothing has had yet: its own, or NAME@VERSION, also where only
    the remains of a killed upload have its own. Then the index, one object, is replaced. So whoever reads sees all of
    one moment, whenever the writer died.
    """

    uri: str
    only: tuple[str, ...] | None = None
    """The entries that are mirrored; all when not given."""

    @cached_property
    def _place(self) -> tuple[Any, str]:
        return open_storage(self.uri)

    def __getstate__(self) -> dict[str, Any]:
        return {"uri": self.uri, "only": self.only}

    def index(self) -> Index | None:
        """What has been published; None where nothing has.

        Raises:
            StorageError: what has been published cannot be reached, or its index is damaged.
        """
        filesystem, path = self._place
        try:
            with one_line(self.uri), filesystem.open_input_stream(f"{path}/{INDEX}") as stream:
                content = stream.readall()
        except FileNotFoundError:
            return None
        index = Index.from_json(content)
        if index is None:
            raise StorageError(
                f"{self.uri}/{INDEX} is damaged: put an earlier version of it back, or delete it to begin this anew"
            )
        return index

    def publish(self, folder: Path, key: str) -> None:
        """Make what is in `folder` the state of the work `key`; what has not changed since the last time is left."""
        from pyarrow.fs import FileType, LocalFileSystem, copy_files

        filesystem, path = self._place
        folder.mkdir(parents=True, exist_ok=True)
        before = _read_record(folder)
        entries: dict[str, _Entry] = {}
        for local in self._visible(folder):
            fingerprint, known = _fingerprint(local), before.entries.get(local.name)
            if known is not None and known.fingerprint == fingerprint:
                entries[local.name] = known
                continue
            version = uuid.uuid4().hex[:8]
            with one_line(self.uri):
                free = known is None and filesystem.get_file_info(f"{path}/{local.name}").type == FileType.NotFound
                name = local.name if free else f"{local.name}@{version}"
                filesystem.create_dir(f"{path}/{name}" if local.is_dir() else path, recursive=True)
                copy_files(
                    str(local),
                    f"{path}/{name}",
                    source_filesystem=LocalFileSystem(),
                    destination_filesystem=filesystem,
                )
            entries[local.name] = _Entry(name, version, fingerprint)
        index = Index(key, entries)
        if index == before:
            return
        complete = folder / f".{INDEX}"
        complete.write_text(index.to_json())
        with one_line(self.uri):  # in one call: Ctrl-C between opening and writing would publish an empty one
            copy_files(
                str(complete),
                f"{path}/{INDEX}",
                source_filesystem=LocalFileSystem(),
                destination_filesystem=filesystem,
            )
        put_in_place(complete, folder / _RECORD)
        current = {entry.object for entry in entries.values()}
        self._delete([entry.object for entry in before.entries.values() if entry.object not in current])

    def fetch(self, folder: Path, index: Index) -> None:
        """Make `folder` what `index` says; what is there already in the same version stays."""
        from pyarrow.fs import FileType, LocalFileSystem, copy_files

        filesystem, path = self._place
        record = _read_record(folder)
        folder.mkdir(parents=True, exist_ok=True)
        for stranger in [local for local in self._visible(folder) if local.name not in index.entries]:
            _remove(stranger)
        fetched: dict[str, _Entry] = {}
        for name, entry in index.entries.items():
            local, known = folder / name, record.entries.get(name)
            if known is None or known.version != entry.version or known.fingerprint != _fingerprint(local):
                temporary = folder / f".{name}.fetching"
                _remove(temporary)
                with one_line(self.uri):
                    if filesystem.get_file_info(f"{path}/{entry.object}").type == FileType.Directory:
                        temporary.mkdir()
                    copy_files(
                        f"{path}/{entry.object}",
                        str(temporary),
                        source_filesystem=filesystem,
                        destination_filesystem=LocalFileSystem(),
                    )
                _remove(local)
                temporary.replace(local)
            fetched[name] = _Entry(entry.object, entry.version, _fingerprint(local))
        _write_record(folder, Index(index.key, fetched))

    def move_aside(self, name: str) -> str:
        """Put everything below the URI beside it, as `name`; returns that URI.

        All is copied before the index is deleted, and the rest only then: whoever reads after a kill finds all of it
        here, or nothing.
        """
        from pyarrow.fs import FileSelector, FileType

        filesystem, path = self._place
        aside, index = f"{path.rpartition('/')[0]}/{name}", f"{path}/{INDEX}"
        with one_line(self.uri):
            found = filesystem.get_file_info(FileSelector(path, allow_not_found=True, recursive=True))
            files = [one.path for one in found if one.type == FileType.File]
            for file in files:
                target = f"{aside}/{file.removeprefix(f'{path}/')}"
                filesystem.create_dir(target.rpartition("/")[0], recursive=True)
                filesystem.copy_file(file, target)
            for file in sorted(files, key=lambda file: file != index):
                filesystem.delete_file(file)
        return f"{self.uri.rpartition('/')[0]}/{name}"

    def _visible(self, folder: Path) -> Iterator[Path]:
        """The folder's entries; hidden names are for what is under way."""
        for entry in sorted(folder.iterdir()):
            if not entry.name.startswith(".") and (self.only is None or entry.name in self.only):
                yield entry

    def _delete(self, names: list[str]) -> None:
        from pyarrow.fs import FileType

        filesystem, path = self._place
        with one_line(self.uri):
            for found in filesystem.get_file_info([f"{path}/{name}" for name in names]):
                if found.type == FileType.Directory:
                    filesystem.delete_dir(found.path)
                elif found.type == FileType.File:
                    filesystem.delete_file(found.path)


def _fingerprint(entry: Path) -> str:
    files = sorted(entry.rglob("*")) if entry.is_dir() else [entry] if entry.exists() else []
    facts = []
    for file in files:
        if file.is_file():
            status = file.stat()
            facts.append((file.relative_to(entry.parent).as_posix(), status.st_size, status.st_mtime_ns))
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


def _read_record(folder: Path) -> Index:
    """What the working copy was after the last exchange, as far as it is known."""
    file = folder / _RECORD
    return (Index.from_json(file.read_bytes()) if file.exists() else None) or Index("")


def _write_record(folder: Path, index: Index) -> None:
    temporary = folder / f"{_RECORD}.{os.getpid()}"
    temporary.write_text(index.to_json())
    put_in_place(temporary, folder / _RECORD)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
