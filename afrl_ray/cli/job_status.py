"""How `afrl jobs status` shows a job's report."""

import time
from collections.abc import Iterator, Sequence

from afrl_ray.telemetry.report import FailureReport, JobReport, StageReport, TrialReport

_LATEST_FAILURES = 10


def lines(report: JobReport, *, is_over: bool = False) -> Iterator[str]:
    """The report for people: stages, trials, what waits, and what failed. `is_over` says that the driver is gone."""
    cut_short = is_over and any(part.status == "running" for part in (*report.stages, *report.trials))
    yield f"reported: {moment(report.updated)}{' and not again before the driver was gone' if cut_short else ''}"
    yield "stages:"
    yield from _table([_stage(stage, report.updated) for stage in report.stages])
    if report.trials:
        yield "trials:"
        header = ("TRIAL", "STATUS", "STEPS", "Q", "SCORE", "BEST", "CONDITIONS", "STEPS/S", "FAILURES")
        yield from _table([header, *(_trial(trial) for trial in report.trials)])
    waiting = {name: length for name, length in report.queues.items() if length}
    if waiting:
        yield "waiting: " + ", ".join(f"{length:,} {name}" for name, length in waiting.items())
    if report.failures:
        yield "failures:"
        yield from _table([_failure(failure) for failure in report.failures[-_LATEST_FAILURES:]])


def moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def duration(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}"


def _stage(stage: StageReport, now: float) -> tuple[str, ...]:
    took = "" if stage.started is None else duration((stage.ended or now) - stage.started)
    under_way = ""
    if stage.status == "running" and stage.doing:
        what = stage.doing if stage.doing != stage.name else ""
        amount = f"{stage.done:,}/{stage.total:,} {stage.unit}" if stage.total else ""
        under_way = " ".join(part for part in (what, amount, stage.note) if part)
    return (stage.name, stage.status, took, under_way)


def _trial(trial: TrialReport) -> tuple[str, ...]:
    conditions = " ".join(f"{name} {_number(score, 1)}" for name, score in trial.score.items() if name != "mean")
    return (
        f"{trial.name} ({trial.id})",
        trial.status,
        f"{trial.env_steps:,}/{trial.wanted_steps:,}",
        _number(trial.q, 2),
        _number(trial.score.get("mean"), 1),
        _number(trial.best_score, 1),
        conditions,
        _number(trial.steps_per_second, 0),
        str(trial.failures),
    )


def _failure(failure: FailureReport) -> tuple[str, ...]:
    return (moment(failure.time), failure.kind, failure.trial, failure.message)


def _number(value: float | None, digits: int) -> str:
    return "" if value is None or value != value else f"{value:,.{digits}f}"


def _table(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))] if rows else []
    for row in rows:
        yield "  " + "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
