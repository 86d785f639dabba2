"""Where commands on checkpoints may write, looked at before anything is computed."""

import os
from pathlib import Path

_EVALUATION = {"adaptive_banks", "scores.parquet", "scores.csv", "summary.json", "table.md"}
"""What an evaluation of checkpoints writes; an interrupted one leaves some of it."""


def bank_file(path: Path) -> Path:
    """`path`, where an attack bank can be written.

    Raises:
        ValueError: it cannot, or is called otherwise than a bank.
    """
    if path.is_dir():
        raise ValueError(f"--output {path} is a folder; write a file in it, such as {path / 'bank.npz'}")
    if path.suffix != ".npz":
        raise ValueError(f"--output {path}: a bank is an npz file; write {path.with_suffix('.npz')}")
    _require_writable(path)
    return path


def evaluation_folder(path: Path) -> Path:
    """`path`, a new or empty folder, or one with an earlier evaluation of checkpoints, which a new one replaces.

    An interrupted one it goes on with.

    Raises:
        ValueError: there is something else, or nothing can be written.
    """
    if path.exists() and not path.is_dir():
        raise ValueError(f"{path} is a file; name another folder with --output DIR")
    entries = path.iterdir() if path.exists() else ()
    names = {entry.name for entry in entries if not entry.name.startswith(".")}  # hidden: cut off while being written
    if "started.json" in names:
        raise ValueError(f"{path} is a stage of an experiment; name another folder with --output DIR")
    if "summary.json" not in names and not names <= _EVALUATION:
        raise ValueError(f"{path} holds something else than an evaluation; name another folder with --output DIR")
    _require_writable(path / "summary.json")
    return path


def _require_writable(path: Path) -> None:
    parent = next(parent for parent in path.absolute().parents if parent.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        raise ValueError(f"{path} cannot be written: {parent} is not a folder that you may write to")
