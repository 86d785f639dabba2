"""Places for files: folders of this machine, and URIs such as s3://BUCKET/PREFIX, through pyarrow.

Credentials and endpoint of S3 are the AWS variables of each process's environment (AWS_ACCESS_KEY_ID,
AWS_SECRET_ACCESS_KEY, AWS_ENDPOINT_URL, AWS_REGION) or the machine's role; they are in no setting.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any


class StorageError(ValueError):
    """A place that cannot be written to or read from, in one line."""


def open_storage(location: str) -> tuple[Any, str]:
    """The pyarrow file system of `location`, a URI or an absolute path, and the path in it.

    Raises:
        StorageError: there is no such kind of storage, or nothing says how to reach it.
    """
    from pyarrow.fs import FileSystem

    with one_line(location):
        filesystem, path = FileSystem.from_uri(location)
    return filesystem, path


def require_writable(location: str) -> None:
    """Make sure that an object can be written below the URI `location`, by writing one and taking it away.

    Raises:
        StorageError: saying why it cannot.
    """
    filesystem, path = open_storage(location)
    probe = f"{path}/.probe"
    with one_line(location):
        with filesystem.open_output_stream(probe) as stream:
            stream.write(b"")
        filesystem.delete_file(probe)


@contextmanager
def one_line(location: str) -> Iterator[None]:
    """Turn what pyarrow raises about `location` into a `StorageError`, except that a file is not there."""
    from pyarrow import ArrowException

    try:
        yield
    except FileNotFoundError:
        raise
    except (OSError, ArrowException) as error:
        raise StorageError(f"{location}: {_reason(str(error))}") from error


_DENIED = "access is denied: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the machine a role"
_REASONS = {
    "NO_SUCH_BUCKET": "there is no such bucket, or not in this region (AWS_REGION)",
    "ACCESS_DENIED": _DENIED,
    "INVALID_ACCESS_KEY_ID": _DENIED,
    "SIGNATURE_DOES_NOT_MATCH": _DENIED,
    "MISSING_AUTHENTICATION_TOKEN": _DENIED,
    "NETWORK_CONNECTION": "no answer: check the network, and AWS_ENDPOINT_URL where the storage is not Amazon's",
}


def _reason(message: str) -> str:
    for code, reason in _REASONS.items():
        if code in message:
            return reason
    return " ".join(message.split())[:300]


def set_flag(location: str) -> None:
    """Make an empty file at `location`, a URI or an absolute path."""
    filesystem, path = open_storage(location)
    with one_line(location):
        filesystem.create_dir(path.rpartition("/")[0], recursive=True)
        filesystem.open_output_stream(path).close()


def has_flag(location: str) -> bool:
    """Whether there is a file at `location`."""
    from pyarrow.fs import FileType

    filesystem, path = open_storage(location)
    with one_line(location):
        return bool(filesystem.get_file_info(path).type != FileType.NotFound)


def clear_flag(location: str) -> None:
    """Take the file at `location` away, if there is one."""
    filesystem, path = open_storage(location)
    with one_line(location), suppress(FileNotFoundError):
        filesystem.delete_file(path)


def remove_folder(location: str) -> None:
    """Take everything at `location` away, if there is anything."""
    filesystem, path = open_storage(location)
    with one_line(location), suppress(FileNotFoundError):
        filesystem.delete_dir(path)


def put_in_place(temporary: Path, final: Path) -> None:
    """Rename a complete file or folder of this machine; what it holds reaches the disk first.

    Without that a power cut soon after the rename may leave `final` with empty files. A folder replaces nothing.
    """
    to_disk(temporary)
    temporary.replace(final)
    sync(final.parent)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`, of the same suffix, that takes its place when the block ends without an error.

    Missing folders are made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        yield temporary
        put_in_place(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def to_disk(path: Path) -> None:
    """`sync` a file, or a folder and everything in it."""
    for entry in path.rglob("*") if path.is_dir() else ():
        with suppress(FileNotFoundError):  # somebody else's temporary file
            sync(entry)
    sync(path)


def sync(path: Path) -> None:
    """Wait until a file's content, or a folder's list of names, would outlast a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        with suppress(OSError) if path.is_dir() else nullcontext():  # some file systems sync no folders
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
