import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from afrl_ray.tracking.database import create_if_missing, database_file

PROGRAM = """
import sys
from pathlib import Path
from afrl_ray.config import TrackingSettings
from afrl_ray.tracking import ExperimentTracker
output = Path(sys.argv[1])
assert ExperimentTracker(TrackingSettings(), output, output.name).flush(force=True)
"""


def test_only_sqlite_has_a_file() -> None:
    assert database_file("sqlite:////data/mlflow.db") == Path("/data/mlflow.db")
    assert database_file("http://host") is None


def test_an_existing_file_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "mlflow.db"
    file.write_text("anything")
    create_if_missing(f"sqlite:///{file}", None)
    assert file.read_text() == "anything"


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_experiments_that_start_together_share_one_whole_database(tmp_path: Path) -> None:
    processes = [
        subprocess.Popen([sys.executable, "-c", PROGRAM, str(tmp_path / name)], stderr=subprocess.PIPE, text=True)
        for name in "ab"
    ]
    assert [process.communicate()[1] for process in processes] == ["", ""]
    assert [process.returncode for process in processes] == [0, 0]
    with sqlite3.connect(tmp_path / "mlflow.db") as database:
        assert database.execute("select count(*) from runs").fetchall() == [(2,)]
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["mlflow.db"]
