"""The metrics that Ray's nodes export for Prometheus, under these names with `ray_` before them."""

import sys
import threading
import time
from functools import cache
from typing import Any, ClassVar

from afrl_ray.telemetry.labels import LABELS, current

JOB_LABEL = "afrl_job"
"""Prometheus has a label `job` of its own, the one of the target."""


class _Instrument:
    """One metric; it is made in Ray at its first use in a process, and does nothing where Ray is not running."""

    all: ClassVar[list["_Instrument"]] = []
    suffix: ClassVar[str] = ""

    def __init__(self, name: str, description: str, *own_labels: str, **options: Any) -> None:
        """`own_labels` come on top of those of the process."""
        self.name = name
        self.description = description
        self.labels = tuple(_exported(label) for label in (*LABELS, *own_labels))
        self._options = options
        self._made: Any = None
        _Instrument.all.append(self)

    @property
    def exported_name(self) -> str:
        """What Prometheus knows it by."""
        return f"ray_{self.name}{self.suffix}"

    def _metric(self) -> Any:
        """Ray's own object, or None where Ray is not running."""
        ray = sys.modules.get("ray")
        if ray is None or not ray.is_initialized():
            return None
        if self._made is None:
            from ray.util import metrics

            made = getattr(metrics, type(self).__name__)
            self._made = made(self.name, description=self.description, tag_keys=self.labels, **self._options)
        return self._made

    def _tags(self, labels: dict[str, str]) -> dict[str, str]:
        known = {**current(), **labels}
        return {**dict.fromkeys(self.labels, ""), **{_exported(label): value for label, value in known.items()}}


def _exported(label: str) -> str:
    return JOB_LABEL if label == "job" else label


class Counter(_Instrument):
    suffix = "_total"

    def add(self, amount: float = 1.0, **labels: str) -> None:
        """Count `amount` more; nothing where it is not positive."""
        metric = self._metric() if amount > 0 else None
        if metric is not None:
            metric.inc(amount, tags=self._tags(labels))


class Gauge(_Instrument):
    """Ray forgets a gauge that nobody sets for some time: so it is set again, until it changes or is forgotten here."""

    def __init__(self, name: str, description: str, *own_labels: str) -> None:
        super().__init__(name, description, *own_labels)
        self._values: dict[tuple[str, ...], float] = {}

    def set(self, value: float, **labels: str) -> None:
        tags = self._tags(labels)
        self._values[tuple(tags[label] for label in self.labels)] = float(value)
        _keep_setting()
        metric = self._metric()
        if metric is not None:
            metric.set(float(value), tags=tags)

    def set_again(self) -> None:
        metric = self._metric()
        if metric is not None:
            for key, value in list(self._values.items()):
                metric.set(value, tags=dict(zip(self.labels, key, strict=True)))

    def forget(self) -> None:
        self._values.clear()


_SECONDS_BETWEEN_SETS = 5.0
"""Ray's nodes collect metrics every ten."""


@cache
def _keep_setting() -> threading.Thread:
    """Set all gauges of this process again and again."""

    def repeat() -> None:
        while True:
            time.sleep(_SECONDS_BETWEEN_SETS)
            for gauge in _gauges():
                gauge.set_again()

    thread = threading.Thread(target=repeat, name="afrl-gauges", daemon=True)
    thread.start()
    return thread


def forget_gauges() -> None:
    """What this process has set until now is over."""
    for gauge in _gauges():
        gauge.forget()


def _gauges() -> list[Gauge]:
    return [metric for metric in _Instrument.all if isinstance(metric, Gauge)]


class Histogram(_Instrument):
    def observe(self, value: float, **labels: str) -> None:
        metric = self._metric()
        if metric is not None:
            metric.observe(float(value), tags=self._tags(labels))


# in the process of a trial, or of pretraining
ENV_STEPS = Counter("afrl_env_steps", "Environment steps of training.")
UPDATES = Counter("afrl_updates", "Updates of the networks.")
EPISODES = Counter("afrl_episodes", "Episodes of training that ended.")
FAULT_DRAWS = Counter(
    "afrl_fault_draws",
    "Episodes of training that began with a fault; adversarial ones draw it from the bank.",
    "condition",
)
BANK_READ_SECONDS = Histogram(
    "afrl_bank_read_seconds",
    "Time to read q from the bank's actor: once per evaluation and per checkpoint of a trial.",
    boundaries=[0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.25, 1.0, 5.0],
)

# in the driver
Q = Gauge("afrl_q", "Probability that an episode is perturbed.")
SMOOTHED_SCORE = Gauge("afrl_smoothed_score", "Moving average of the score that steers an adaptive curriculum.")
SCORE = Gauge("afrl_score", "Validation score under each condition, and their mean.", "condition")
BEST_SCORE = Gauge("afrl_best_score", "Best validation mean so far.")
TRIALS = Gauge("afrl_trials", "Trials that are waiting, running, finished or failed.", "status")
STAGE_SHARE = Gauge("afrl_stage_share", "How much of a stage is done, from 0 to 1.")
EVALUATION_TASKS = Gauge(
    "afrl_evaluation_tasks", "Tasks of attacks and evaluations that are waiting or running.", "status"
)
TRACKING_UNSENT = Gauge("afrl_tracking_unsent", "Entries that wait for MLflow to answer.")

# anywhere
FAILURES = Counter("afrl_failures", "Trials and env runners that died, services that did not answer.", "kind")


def exported_names() -> dict[str, str]:
    """What each metric is for, by the name that Prometheus knows it by."""
    return {metric.exported_name: metric.description for metric in _Instrument.all}
