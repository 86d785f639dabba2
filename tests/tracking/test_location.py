import json
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from afrl_ray.config import TrackingSettings
from afrl_ray.tracking import ExperimentTracker, default_uri, ui_command
from afrl_ray.tracking.location import artifact_root, shown_by

OUTPUT = Path("/data/runs/hopper")


def test_the_default_database_lies_beside_the_output_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert default_uri(TrackingSettings(), OUTPUT) == "sqlite:////data/runs/mlflow.db"


def test_mlflows_own_variable_comes_after_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow:5000")
    assert default_uri(TrackingSettings(), OUTPUT) == "http://mlflow:5000"
    assert default_uri(TrackingSettings(uri="http://other:5000"), OUTPUT) == "http://other:5000"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "mlruns")
    with pytest.raises(ValueError, match=r"tracking\.uri=mlruns is no database"):
        default_uri(TrackingSettings(), OUTPUT)


@pytest.mark.parametrize("uri", ["http://host:5000", "https://host", "postgresql+psycopg2://u:p@host/db", "databricks"])
def test_servers_and_databases_are_taken_as_they_are(uri: str) -> None:
    assert default_uri(TrackingSettings(uri=uri), OUTPUT) == uri


def test_a_relative_file_becomes_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert default_uri(TrackingSettings(uri="sqlite:///mlflow.db"), OUTPUT) == f"sqlite:///{tmp_path}/mlflow.db"


@pytest.mark.parametrize("uri", ["mlruns", "/data/mlruns", "file:///data/mlruns"])
def test_folders_are_refused_with_what_to_write_instead(uri: str) -> None:
    with pytest.raises(ValueError, match=r"write sqlite:///mlflow\.db"):
        default_uri(TrackingSettings(uri=uri), OUTPUT)


def test_artifacts_lie_beside_the_database() -> None:
    assert artifact_root("sqlite:////elsewhere/mlflow.db", OUTPUT) == "file:///elsewhere/mlartifacts"
    assert artifact_root("postgresql://host/db", OUTPUT) == "file:///data/runs/mlartifacts"
    assert artifact_root("http://host:5000", OUTPUT) is None


def test_the_way_to_see_runs_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    own = default_uri(TrackingSettings(), Path("runs/hopper"))
    assert shown_by(own) == f"{own} (see it with `afrl ui`)"
    assert shown_by("sqlite:////data/m.db") == (
        "sqlite:////data/m.db (see it with `afrl ui tracking.uri=sqlite:////data/m.db`)"
    )
    assert shown_by("http://me:secret@mlflow:5000") == "http://me:***@mlflow:5000 (open it in a browser)"


def test_the_ui_command_stays_on_this_machine() -> None:
    command, environment = ui_command("sqlite:////data/runs/mlflow.db", port=5001)
    assert command[:4] == [sys.executable, "-m", "mlflow", "server"]
    assert command[command.index("--backend-store-uri") + 1] == "sqlite:////data/runs/mlflow.db"
    assert command[command.index("--host") + 1] == "127.0.0.1"
    assert command[command.index("--port") + 1] == "5001"
    assert environment["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] == "false"
    assert "PATH" in environment


def test_a_server_needs_no_ui() -> None:
    with pytest.raises(ValueError, match="open it in a browser"):
        ui_command("http://host:5000")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_ui_shows_runs_and_artifacts(tmp_path: Path) -> None:
    tracker = ExperimentTracker(TrackingSettings(), tmp_path / "hopper", "hopper")
    (tmp_path / "table.md").write_text("a table")
    with tracker.parent_run() as run:
        run.log_artifact(tmp_path / "table.md", "evaluation")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command, environment = ui_command(tracker.uri, port)
    server = subprocess.Popen(
        command, env=environment, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        root = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 200
        while True:
            try:
                assert urllib.request.urlopen(f"{root}/health", timeout=5).status == 200
                break
            except OSError:
                assert time.monotonic() < deadline
                assert server.poll() is None
                time.sleep(0.3)
        listing = json.load(
            urllib.request.urlopen(f"{root}/api/2.0/mlflow/artifacts/list?run_id={run.run_id}&path=evaluation")
        )
        assert [file["path"] for file in listing["files"]] == ["evaluation/table.md"]
        file = urllib.request.urlopen(f"{root}/get-artifact?run_id={run.run_id}&path=evaluation/table.md")
        assert file.read() == b"a table"
    finally:
        server.terminate()
        server.wait(20)
