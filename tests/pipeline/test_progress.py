import io
import re
from collections.abc import Iterator

import pytest
from rich.console import Console

from afrl_ray.pipeline import progress


@pytest.fixture
def sent() -> Iterator[list[tuple[int, int]]]:
    """What is reported to a sink while the test runs."""
    received: list[tuple[int, int]] = []
    progress.send_progress_to(lambda done, total: received.append((done, total)))
    yield received
    progress.send_progress_to(None)


def test_a_process_without_a_terminal_may_report_to_another(
    sent: list[tuple[int, int]], capsys: pytest.CaptureFixture[str]
) -> None:
    with progress.progress("pretrain", 30, "updates") as report:
        report.update(10, "a note")
        report.update(30)
    assert sent == [(10, 30), (30, 30)]
    assert capsys.readouterr().err == ""


def test_a_narrow_terminal_cuts_the_note_and_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = io.StringIO()
    monkeypatch.setattr(progress, "console", Console(file=shown, force_terminal=True, color_system=None, width=80))
    with progress.progress("finetune", 200_000, "steps") as report:
        report.update(0)
        report.update(45_000, "47d3f_00003: score 101.9, best 108.3, q 0.81")
    last = [line for line in re.split(r"\x1b\[[0-9;?]*[A-Za-z]|[\r\n]", shown.getvalue()) if "47d3f" in line][-1]
    assert re.match(r"finetune \S+ +45000/200000 [\d,]+ steps/s \S+ left 47d3f_.*…", last)
    assert len(last) <= 80
