"""Where MLflow keeps runs and artifacts, and the command that shows them."""

import os
import sys
from pathlib import Path

from afrl_ray.config import TrackingSettings
from afrl_ray.config.location import without_password
from afrl_ray.tracking.database import SQLITE, database_file

_DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
_SERVERS = ("http", "https", "databricks")


def default_uri(settings: TrackingSettings, output_directory: Path) -> str:
    """The settings' tracking URI, or MLFLOW_TRACKING_URI, or the SQLite file beside the output folder, so that
    experiments share it.

    A relative SQLite file is taken from the current folder and made absolute: Ray's workers run in other folders.

    Raises:
        ValueError: the URI is neither a database nor a server, such as the plain folder that MLflow 3 refuses.
    """
    uri = settings.uri or os.environ.get("MLFLOW_TRACKING_URI")
    if not uri:
        return f"{SQLITE}{output_directory.absolute().parent / 'mlflow.db'}"
    check_uri(uri)
    file = database_file(uri)
    return f"{SQLITE}{file.expanduser().absolute()}" if file else uri


def check_uri(uri: str) -> None:
    """
    Raises:
        ValueError: `uri` is neither a database nor a server.
    """
    if _scheme(uri) not in (*_DATABASES, *_SERVERS):
        raise ValueError(
            f"tracking.uri={without_password(uri)} is no database or server; "
            f"write {SQLITE}mlflow.db for a file, or http://HOST:PORT for a server"
        )


def artifact_root(uri: str, output_directory: Path) -> str | None:
    """Where new experiments keep their files: beside the SQLite file, or beside the output folder for a database
    elsewhere; None for a server, which has a place of its own."""
    if _scheme(uri) in _SERVERS:
        return None
    return ((database_file(uri) or output_directory.absolute()).parent / "mlartifacts").as_uri()


def ui_command(uri: str, port: int = 5000, host: str = "127.0.0.1") -> tuple[list[str], dict[str, str]]:
    """The command line and the environment of a web interface for the database at `uri`.

    Raises:
        ValueError: `uri` is a server, which has an interface already.
    """
    if _scheme(uri) in _SERVERS:
        raise ValueError(f"{without_password(uri)} is a server already: open it in a browser")
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", uri]
    command += ["--host", host, "--port", str(port), "--workers", "1"]
    # Job execution starts processes for language-model features, some 500 MB that nothing here uses.
    quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    return command, {**os.environ, **quiet}


def shown_by(uri: str) -> str:
    """`uri`, and what to do to see what is there."""
    shown = without_password(uri)
    if _scheme(uri) in _SERVERS:
        return f"{shown} (open it in a browser)"
    try:
        is_default = uri == default_uri(TrackingSettings(), Path("runs/any"))
    except ValueError:  # MLFLOW_TRACKING_URI is none that could be used, and was not
        is_default = False
    command = "afrl ui" if is_default else f"afrl ui tracking.uri={shown}"
    return f"{shown} (see it with `{command}`)"


def _scheme(uri: str) -> str:
    return uri.partition(":")[0].partition("+")[0].lower() if ":" in uri or uri == "databricks" else ""
