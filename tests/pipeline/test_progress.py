import errno
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


def test_the_rate_is_that_of_the_last_two_minutes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "console", Console(stderr=True, width=200))
    clock = iter(range(0, 10_000, 10))  # an update every 10 seconds
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    with progress.progress("expert", 100_000, "steps") as report:
        for minute in range(12):
            fast, slow = min(minute, 3) * 6_000, max(minute - 3, 0) * 600
            for update in range(6):
                report.update(fast + slow + update * (1_000 if minute < 3 else 100))
    lines = [line for line in capsys.readouterr().err.splitlines() if line]
    assert "100 steps/s" in lines[0]
    assert lines[-1].startswith("expert: 23,300/100,000 steps (10 steps/s, 2:07:50 left)")


def test_nothing_done_for_a_while_has_no_rate(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "console", Console(stderr=True, width=200))
    clock = iter(range(0, 10_000, 40))  # a line is due at each update
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    with progress.progress("attack", 5, "searches") as report:
        for done in (0, 0, 1, 1, 1, 1, 1):
            report.update(done, "a note")
    lines = [line for line in capsys.readouterr().err.splitlines() if line]
    assert lines[0] == lines[1] == "attack: 0/5 searches a note"
    assert lines[-1] == "attack: 1/5 searches a note"


class FullDisk(io.StringIO):
    full = True

    def write(self, text: str) -> int:
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(text)


def test_work_goes_on_when_its_log_cannot_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    log = FullDisk()
    monkeypatch.setattr(progress, "console", Console(file=log, width=200))
    progress.say("data: 100 transitions")
    log.full = False
    progress.say("pretrain: kept")
    assert log.getvalue() == "data: 100 transitions\npretrain: kept\n"
