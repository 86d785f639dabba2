from pathlib import Path

import pytest

from afrl_ray.config import ExperimentSettings


@pytest.mark.parametrize(
    ("output", "folder"),
    [(None, "/shared/runs/hopper"), ("mine", "/shared/mine"), ("/elsewhere/x", "/elsewhere/x")],
)
def test_relative_folders_are_below_the_storage(
    output: str | None, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AFRL_STORAGE", "/shared")
    settings = ExperimentSettings(name="hopper", output=Path(output) if output else None)
    assert settings.output_directory == Path(folder)


def test_without_one_they_are_below_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AFRL_STORAGE", raising=False)
    monkeypatch.chdir(tmp_path)
    assert ExperimentSettings(name="hopper").output_directory == tmp_path / "runs" / "hopper"
    monkeypatch.setenv("HOME", "/home/somebody")
    assert ExperimentSettings(output=Path("~/x")).output_directory == Path("/home/somebody/x")
