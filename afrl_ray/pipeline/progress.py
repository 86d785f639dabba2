"""Progress bars with rates and time left, on standard error."""

import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column

from afrl_ray.telemetry import event, logs_are_json
from afrl_ray.telemetry.board import board

console = Console(stderr=True)
_LINE_INTERVAL = 30.0
_RATE_PERIOD = 120.0
"""Seconds that a rate is measured over: trainings begin with faster phases, which tell nothing about the rest."""

ProgressSink = Callable[[int, int], None]
"""Called with (units done, units in all)."""
_sink: ProgressSink | None = None


def send_progress_to(sink: ProgressSink | None) -> None:
    """Report to `sink` instead of the terminal, from now on: for a process whose output nobody sees."""
    global _sink
    _sink = sink


class Reporter:
    """One task's progress: a live bar on a terminal, a line every 30 seconds anywhere else."""

    def __init__(self, description: str, total: int, unit: str, bar: Progress | None) -> None:
        self._description, self._total, self._unit = description, total, unit
        self._bar = bar
        self._task = bar.add_task(description, total=total, rate="", note="") if bar else None
        self._recent: deque[tuple[float, int]] = deque()  # (time, completed)
        self._last_line = time.monotonic()
        board.progress(description, 0, total, unit)

    def update(self, completed: int, note: str = "") -> None:
        """Set how much is done, in units; the rate is that of the last two minutes, from the first call on."""
        board.progress(self._description, completed, self._total, self._unit, note)
        if _sink is not None:
            _sink(completed, self._total)
            return
        now = time.monotonic()
        self._recent.append((now, completed))
        while len(self._recent) > 2 and self._recent[1][0] <= now - _RATE_PERIOD:
            self._recent.popleft()
        since, first = self._recent[0]
        rate = (completed - first) / (now - since) if now > since else 0.0
        shown = f"{rate:,.0f} {self._unit}/s" if rate else ""
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=completed, rate=shown, note=note)
        elif now - self._last_line >= _LINE_INTERVAL:
            self._last_line = now
            left = f", {_duration((self._total - completed) / rate)} left" if rate and completed < self._total else ""
            pace = [f"({shown}{left})"] if rate else []
            done = f"{self._description}: {completed:,}/{self._total:,} {self._unit}"
            say(
                " ".join(part for part in (done, *pace, note) if part),
                done=completed,
                total=self._total,
                unit=self._unit,
            )


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}"


@contextlib.contextmanager
def progress(description: str, total: int, unit: str) -> Iterator[Reporter]:
    """Report on `total` units of work while the block runs."""
    if _sink is not None or logs_are_json() or not console.is_terminal:
        yield Reporter(description, total, unit, None)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=12),
        MofNCompleteColumn(table_column=_whole()),
        TextColumn("{task.fields[rate]}", table_column=_whole()),
        TimeRemainingColumn(table_column=_whole()),
        TextColumn("left"),
        TextColumn("{task.fields[note]}", table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis")),
    )
    with Progress(*columns, console=console, expand=True) as bar:
        yield Reporter(description, total, unit, bar)


def _whole() -> Column:
    """A column of numbers that a narrow terminal does not cut."""
    return Column(no_wrap=True)


def say(message: str, **fields: Any) -> None:
    """One line for the person watching; where logs are JSON, one with these fields.

    Work goes on where it cannot be written, to a log on a full disk, say; it is then shown before the next one.
    """
    if logs_are_json():
        event(message, **fields)
        return
    with contextlib.suppress(OSError):
        console.print(message, highlight=False, soft_wrap=True)
