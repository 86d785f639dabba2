"""Storage that goes away."""

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def read_only(folder: Path) -> Iterator[Callable[[str], None]]:
    """A folder that can be switched between "ro" and "rw" for all processes, root's included.

    Files and folders are made immutable: a mount could not be switched while anybody has a file open to write. Only
    who has one open already can still write to it.
    """

    def switch(mode: str) -> None:
        if mode == "rw":
            subprocess.run(["chattr", "-R", "-i", folder], check=True, capture_output=True)
            return
        for place, _, files in os.walk(folder):  # from above, so that nothing can be added to what is listed next
            _freeze([place])
            _freeze([f"{place}/{file}" for file in files])

    try:
        yield switch
    finally:
        switch("rw")


def _freeze(paths: list[str]) -> None:
    if paths:
        subprocess.run(["chattr", "+i", *paths], check=False, capture_output=True)  # some are gone by now


def reason_against(folder: Path) -> str | None:
    """Why nothing in `folder` can be made read-only; None where it can."""
    if os.geteuid() != 0:
        return "making files immutable takes root"
    for flag in ("+i", "-i"):
        try:
            subprocess.run(["chattr", flag, folder], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            return "this file system has no immutable files"
    return None
