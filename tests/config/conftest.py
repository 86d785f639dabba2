"""What mistakes in settings are answered with, through the command itself."""

from collections.abc import Callable
from pathlib import Path

import pytest

from afrl_ray.cli import main


@pytest.fixture
def refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """Gives exit status and standard error of `afrl config show` with these arguments, in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def refused(*arguments: str) -> tuple[int, str]:
        status = main(["config", "show", *arguments])
        output = capsys.readouterr()
        assert output.out == ""
        return status, output.err

    return refused


@pytest.fixture
def refused_file(refused: Callable[..., tuple[int, str]]) -> Callable[[str], tuple[int, str]]:
    """The same for the file x.yaml with this text."""

    def refused_file(text: str) -> tuple[int, str]:
        Path("x.yaml").write_text(text)
        return refused("x.yaml")

    return refused_file
