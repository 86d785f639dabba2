"""Stage directories with manifests: what is done is skipped, what died resumes, nothing is overwritten."""

import json
import os
import platform
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from afrl_ray.config import EnvironmentSettings
from afrl_ray.config.location import without_password
from afrl_ray.envs import simulator
from afrl_ray.pipeline.identity import content_key
from afrl_ray.pipeline.mirror import Mirror
from afrl_ray.storage import put_in_place, sync, to_disk

_MANIFEST = "manifest.json"
_STARTED = "started.json"
_RECORDED_PACKAGES = ("afrl-ray", "ray", "torch", "gymnasium", "mujoco", "envpool", "nevergrad", "numpy")


def write_json(path: Path, content: Any) -> None:
    """Write `content` as JSON under a temporary name, then rename what has reached the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(json.dumps(content, indent=2, sort_keys=False, default=str) + "\n")
    put_in_place(temporary, path)


def read_json(path: Path) -> Any:
    """The content of a JSON file, or None where there is none.

    Raises:
        ValueError: it is damaged.
    """
    if not path.is_file():
        return None
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise ValueError(f"{path} is damaged ({error})") from error


def _read_record(path: Path) -> dict[str, Any] | None:
    """What a stage says of itself in `path`, or None where there is no such file.

    Raises:
        ValueError: it is damaged.
    """
    remedy = f"move {path.parent} away, and it is made anew"
    try:
        record = read_json(path)
    except ValueError as error:
        raise ValueError(f"{error}; {remedy}") from error
    if record is None or (isinstance(record, dict) and isinstance(record.get("key"), str)):
        return record
    raise ValueError(f"{path} is damaged (it names no key); {remedy}")


def replace_directory(temporary: Path, final: Path) -> None:
    """Put the finished `temporary` in place of `final`; one of the two exists complete at any moment.

    That holds after a power cut too.
    """
    to_disk(temporary)
    previous = final.with_name(f".{final.name}.previous")
    shutil.rmtree(previous, ignore_errors=True)
    if final.exists():
        final.replace(previous)
    temporary.replace(final)
    sync(final.parent)
    shutil.rmtree(previous, ignore_errors=True)


@contextmanager
def replacing_directory(final: Path) -> Iterator[Path]:
    """A temporary path, where nothing is, that takes the place of `final` when the block ends without an error."""
    temporary = final.with_name(f".{final.name}.new")
    shutil.rmtree(temporary, ignore_errors=True)
    yield temporary
    replace_directory(temporary, final)


def recover_directory(final: Path) -> Path | None:
    """`final`, put back first if a kill came between the two renames of `replace_directory`; None if never written."""
    previous = final.with_name(f".{final.name}.previous")
    if not final.exists() and previous.exists():
        previous.replace(final)
    return final if final.exists() else None


def command_line() -> str:
    """The command that is running, as it can be typed again, with *** for passwords in its URIs."""
    return shlex.join(["afrl", *map(without_password, sys.argv[1:])])


@cache
def git_commit() -> str | None:
    """The commit the package runs from, with `-dirty` where files differ from it; None outside a checkout."""
    here = Path(__file__).parent

    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(["git", *arguments], cwd=here, capture_output=True, text=True, timeout=10)
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    commit = git("rev-parse", "HEAD")
    return f"{commit}-dirty" if commit and git("status", "--porcelain", "--untracked-files=no") else commit


def package_versions() -> dict[str, str]:
    """Versions of the packages that can change a result."""
    versions = {"python": platform.python_version()}
    for package in _RECORDED_PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return versions


def _holds_files(directory: Path) -> bool:
    """Whether there is more than hidden files, such as a record that a kill left unfinished."""
    return any(not entry.name.startswith(".") for entry in directory.iterdir())


@dataclass(frozen=True)
class Stage:
    """One stage's directory.

    Its key is a hash of the settings it depends on and of its inputs' keys. A directory left by other settings is
    moved aside, never reused and never deleted. With a mirror it is a working copy of what lies below a URI.
    """

    name: str
    directory: Path
    settings: Mapping[str, Any]
    inputs: Mapping[str, str]
    mirror: Mirror | None = None

    @property
    def key(self) -> str:
        return content_key({"stage": self.name, "settings": self.settings, "inputs": self.inputs})

    @property
    def location(self) -> str:
        """Where the stage's results are: a folder, or a URI."""
        return str(self.directory) if self.mirror is None else self.mirror.uri

    def shown(self, path: Path) -> str:
        """Where people find what is at `path` in the directory."""
        return f"{self.location}/{path.relative_to(self.directory).as_posix()}"

    def finished(self) -> dict[str, Any] | None:
        """The manifest if this stage has already been completed with these settings and inputs."""
        if self.mirror is not None and not self._fetch(self.mirror):
            return None
        manifest = _read_record(self.directory / _MANIFEST)
        return manifest if manifest and manifest["key"] == self.key else None

    def refresh(self) -> None:
        """With a mirror: make the directory what has been published of this work, if anything has."""
        if self.mirror is not None:
            self._fetch(self.mirror)

    def begin(self) -> bool:
        """Make the directory ready; True if it holds an interrupted attempt at the same work, to be resumed.

        Raises:
            ValueError: the directory holds files that no stage has made, or is damaged.
        """
        if self.mirror is not None and not self._fetch(self.mirror):
            return self._begin_anew(self.mirror)
        started = _read_record(self.directory / _STARTED)
        if started and started["key"] == self.key:
            return True
        if started is None and self.directory.exists() and _holds_files(self.directory):
            raise ValueError(
                f"{self.directory} holds files that afrl has not made; move them away, or write to another folder"
            )
        if started:
            owner = started["key"][:8]
            aside = self.directory.with_name(f"{self.directory.name}.replaced-{owner}-{time.time_ns()}")
            self.directory.replace(aside)
        write_json(self.directory / _STARTED, {"stage": self.name, "key": self.key})
        return False

    def _fetch(self, mirror: Mirror) -> bool:
        """Make the directory what is published of this very work; False, and nothing done, where that is nothing."""
        index = mirror.index()
        if index is None or index.key != self.key:
            return False
        mirror.fetch(self.directory, index)
        return True

    def _begin_anew(self, mirror: Mirror) -> bool:
        index = mirror.index()
        if index is not None:
            mirror.move_aside(f"{self.name}.replaced-{index.key[:8]}-{time.time_ns()}")
        shutil.rmtree(self.directory, ignore_errors=True)
        write_json(self.directory / _STARTED, {"stage": self.name, "key": self.key})
        self.keep()
        return False

    def keep(self) -> None:
        """Make what has been written so far safe: with a mirror, where another machine can go on from it."""
        if self.mirror is not None:
            self.mirror.publish(self.directory, self.key)

    def finish(self, outputs: Mapping[str, Any], seed: int) -> dict[str, Any]:
        """Write and return the manifest, which declares the stage complete."""
        environment = self.settings.get("environment")
        manifest = {
            "stage": self.name,
            "key": self.key,
            "settings": self.settings,
            "inputs": self.inputs,
            "outputs": outputs,
            "seed": seed,
            "commit": git_commit(),
            "versions": package_versions(),
            **({"simulator": simulator(EnvironmentSettings(**environment))} if environment else {}),
            "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }
        to_disk(self.directory)  # the manifest says that all of it is there
        write_json(self.directory / _MANIFEST, manifest)
        self.keep()
        return manifest
