"""What this process works on: the labels of every metric and every log line that it writes."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

LABELS = ("job", "stage", "trial", "trial_name")
"""`trial` is Tune's id of a trial, `trial_name` what people call it."""

JOB_VARIABLE = "AFRL_JOB"
"""Environment variable with the job's id, which all processes of a job inherit."""

_labels = dict.fromkeys(LABELS, "")


def current() -> dict[str, str]:
    """All labels; those that do not apply are empty."""
    return {**_labels, "job": os.environ.get(JOB_VARIABLE) or _labels["job"]}


def job_of(name: str) -> str:
    """The id of the job that this process belongs to, or the experiment's `name` where it is no job of a cluster."""
    return os.environ.get(JOB_VARIABLE) or name


def bind(**labels: str) -> None:
    """Set labels of this process, from now on.

    Raises:
        KeyError: there is no such label.
    """
    for label, value in labels.items():
        if label not in _labels:
            raise KeyError(label)
        _labels[label] = value


@contextmanager
def bound(**labels: str) -> Iterator[None]:
    """`bind` while the block runs."""
    before = dict(_labels)
    bind(**labels)
    try:
        yield
    finally:
        _labels.update(before)
