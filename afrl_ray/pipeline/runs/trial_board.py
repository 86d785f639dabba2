"""Every trial's state, for the terminal, `afrl jobs status`, Prometheus and the log."""
# ruff: noqa: ARG002 - Tune calls every hook with all of its keywords

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from ray.tune import Callback
from ray.tune.experiment import Trial

from afrl_ray.config import trial_experiment
from afrl_ray.pipeline.progress import Reporter
from afrl_ray.telemetry import event
from afrl_ray.telemetry.board import board, logger
from afrl_ray.telemetry.metrics import BEST_SCORE, SCORE, SMOOTHED_SCORE, TRIALS, Q
from afrl_ray.telemetry.report import TrialStatus

_STATUS: dict[str, TrialStatus] = {
    Trial.PENDING: "waiting",
    Trial.PAUSED: "waiting",
    Trial.RUNNING: "running",
    Trial.TERMINATED: "finished",
    Trial.ERROR: "failed",
}
_STATUSES: tuple[TrialStatus, ...] = ("waiting", "running", "finished", "failed")


class RunProgress(Callback):
    """Shows the environment steps of all runs together, those of earlier commands included, and the latest score.

    Tune pickles its callbacks, so what it reports to is attached to the class, not to the object.
    """

    _report: ClassVar[Reporter | None] = None
    _steps: ClassVar[dict[str, int]] = {}

    @classmethod
    def attach(cls, report: Reporter, reached: Mapping[str, int]) -> None:
        """`reached` are environment steps by the key of each run."""
        cls._report, cls._steps = report, dict(reached)
        report.update(sum(cls._steps.values()))

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        if self._report is None:
            return
        run = trial.config["run"]
        self._steps[run["key"]] = int(result["env_steps"])
        note = f"score {result['score_mean']:.1f}, best {result['best_score']:.1f}, q {result['q']:.2f}"
        self._report.update(sum(self._steps.values()), f"{run['name']}: {note}")


class TrialBoard(Callback):
    """Writes down what Tune knows of its trials; whatever happens here, the sweep goes on."""

    def __init__(self, name: Callable[[Mapping[str, Any]], str], total: int) -> None:
        """`name` makes a readable name of a trial's config; `total` trials will come in all."""
        self._name = name
        self._total = total
        self._known: dict[str, tuple[str, int]] = {}
        """Name and wanted steps by trial: they take milliseconds to work out."""
        self._lost: Counter[str] = Counter()
        """Env runners lost by trial, as its last result said."""

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        with _surviving():
            for other in trials:  # those that ended before the driver was started again will never be heard of
                self._show(other)
            self._show(trial, status="running")
            self._count()
            event("trial starts", **self._labels(trial))

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        with _surviving():
            self._show(trial, result, status="running")
            self._note_lost_env_runners(trial, result)
            labels = self._labels(trial)
            Q.set(result["q"], **labels)
            BEST_SCORE.set(result["best_score"], **labels)
            for condition, score in result["score"].items():
                SCORE.set(score, condition=condition, **labels)
            if result.get("smoothed_score") is not None:
                SMOOTHED_SCORE.set(result["smoothed_score"], **labels)
            event("result", **labels, env_steps=result["env_steps"], q=result["q"], score=result["score_mean"])

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        with _surviving():
            self._show(trial, status="finished")
            self._count()
            event("trial finished", **self._labels(trial))

    def on_trial_recover(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        self._failed(trial, "waiting")

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        self._failed(trial, "failed")

    def _failed(self, trial: Trial, status: TrialStatus) -> None:
        with _surviving():
            message = _last_line_of_error(trial)
            self._show(trial, status=status)
            board.failure("trial", message, trial.trial_id)
            self._count()
            event("trial failed", **self._labels(trial), error=message, goes_on=status == "waiting")

    def _note_lost_env_runners(self, trial: Trial, result: Mapping[str, Any]) -> None:
        """Once for each result since which some were lost; a trial that was started again counts from 0."""
        before, lost = self._lost[trial.trial_id], int(result.get("lost_env_runners", 0))
        self._lost[trial.trial_id] = lost
        if lost > before:
            board.note_failure("env runner", f"{lost - before} lost, and started again", trial.trial_id)
            event("env runner lost", **self._labels(trial), lost=lost - before)

    def _show(self, trial: Trial, result: Mapping[str, Any] | None = None, status: TrialStatus | None = None) -> None:
        known = result or trial.last_result or {}
        shown = {name: known[name] for name in ("env_steps", "q", "best_score", "steps_per_second") if name in known}
        scores = known.get("score") or {}
        name, wanted = self._facts(trial)
        board.trial(
            trial.trial_id,
            name=name,
            status=status or _STATUS.get(trial.status, "waiting"),
            wanted_steps=wanted,
            **shown,
            **({"score": dict(scores)} if scores else {}),
        )

    def _count(self) -> None:
        counts = Counter(trial.status for trial in board.report().trials)
        counts["waiting"] += max(self._total - counts.total(), 0)
        for status in _STATUSES:
            TRIALS.set(counts[status], status=status)
        board.queue("trials", counts["waiting"])

    def _labels(self, trial: Trial) -> dict[str, str]:
        return {"trial": trial.trial_id, "trial_name": self._facts(trial)[0]}

    def _facts(self, trial: Trial) -> tuple[str, int]:
        if trial.trial_id not in self._known:
            wanted = trial_experiment(trial.config)["finetune"]["steps"]
            self._known[trial.trial_id] = (self._name(trial.config), int(wanted))
        return self._known[trial.trial_id]


def _last_line_of_error(trial: Trial) -> str:
    file = Path(trial.error_file or "")
    lines = file.read_text(encoding="utf-8").strip().splitlines() if file.is_file() else []
    return lines[-1].strip() if lines else "it ended without an error of its own"


@contextmanager
def _surviving() -> Iterator[None]:
    try:
        yield
    except Exception:
        logger.warning("a trial's state could not be written down", exc_info=True)
