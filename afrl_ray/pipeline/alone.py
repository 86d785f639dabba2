"""One process at a time in a folder of results."""

import errno
import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from afrl_ray.pipeline.progress import say

_HELD = (errno.EAGAIN, errno.EACCES)  # the latter where locks are passed on to a file server


@contextmanager
def alone_in(folder: Path, lock: Path | None = None) -> Iterator[None]:
    """Hold the folder's lock while the block runs; the kernel lets go of it when the process dies.

    The lock is the file `lock`, .lock in the folder where None: a folder that is moved takes that along.

    It keeps out other processes on this machine, and on others that share the folder where its file system passes locks
    on, as NFS does. Where a file system has no locks, the block runs without.

    Raises:
        BlockingIOError: another process holds it.
        OSError: nothing can be written to the folder.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (lock or folder / ".lock").open("w")
    except OSError as error:
        raise OSError(f"{folder} cannot be written to ({error.strerror}); choose another output folder") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _HELD:
                message = f"another afrl is at work in {folder}; wait for it, stop it, or choose another output folder"
                raise BlockingIOError(message) from error
            say(f"{folder} cannot be locked ({error.strerror}): see to it that nothing else works there")
        yield
