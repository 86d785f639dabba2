"""The SQLite file, made whole or not at all."""

import os
from pathlib import Path

SQLITE = "sqlite:///"


def database_file(uri: str) -> Path | None:
    """The file of a SQLite URI; None for any other."""
    return Path(uri.removeprefix(SQLITE)) if uri.startswith(SQLITE) else None


def create_if_missing(uri: str, artifact_root: str | None) -> None:
    """Make the SQLite file behind `uri` with MLflow's tables, unless it exists or `uri` is something else.

    MLflow makes its tables in some fifty steps and cannot go on with half of them, which is what an interrupt, or two
    experiments that start together, would leave. So they are made in a file of this process, which is then linked to
    its name; whoever comes second uses the first one's.
    """
    file = database_file(uri)
    if file is None or file.exists():
        return
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        store = SqlAlchemyStore(f"{SQLITE}{temporary}", artifact_root)
        store.engine.dispose()
        keep_first(temporary, file)
    finally:
        temporary.unlink(missing_ok=True)


def keep_first(temporary: Path, file: Path) -> None:
    """Give `temporary`, which is complete, the name `file`, unless another process was faster."""
    try:
        os.link(temporary, file)
    except FileExistsError:
        pass
    except OSError:  # a file system without links
        temporary.rename(file)
