"""Storage that goes away."""

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def read_only(folder: Path) -> Iterator[Callable[[str], None]]:
    """A folder that can be switched between "ro" and "rw" for all processes, by a mount of its own."""
    subprocess.run(["mount", "--bind", folder, folder], check=True)

    def switch(mode: str) -> None:
        command = ["mount", "-o", f"remount,bind,{mode}", folder]
        for _ in range(600):  # while anybody has a file open to write, a mount stays writeable
            if not subprocess.run(command, capture_output=True, check=False).returncode:
                return
            time.sleep(0.1)
        raise AssertionError(f"{folder} never became {mode}")

    try:
        yield switch
    finally:
        switch("rw")
        subprocess.run(["umount", "--lazy", folder], check=False)
