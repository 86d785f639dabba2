from pathlib import Path

import pytest


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A settings file in the current folder."""
    monkeypatch.chdir(tmp_path)
    Path("x.yaml").write_text("seed: 3\n")
    return "x.yaml"
