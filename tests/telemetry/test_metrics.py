import re
import sys
from pathlib import Path

import pytest

from afrl_ray.telemetry import metrics
from afrl_ray.telemetry.metrics import JOB_LABEL, exported_names

ROOT = Path(__file__).parents[2]


class Recorder:
    """In place of Ray's metric."""

    def __init__(self) -> None:
        self.calls: list[tuple[float, dict[str, str]]] = []

    def inc(self, amount: float, tags: dict[str, str]) -> None:
        self.calls.append((amount, tags))

    def set(self, value: float, tags: dict[str, str]) -> None:
        self.calls.append((value, tags))


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    found = Recorder()
    monkeypatch.setattr(metrics._Instrument, "_metric", lambda _self: found)
    return found


def test_nothing_happens_where_ray_is_not_running(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    metrics.ENV_STEPS.add(5)
    metrics.Q.set(0.5)
    metrics.BANK_READ_SECONDS.observe(0.1)


def test_every_value_has_all_labels_and_none_is_prometheus_s_own(recorder: Recorder) -> None:
    metrics.SCORE.set(80.0, condition="normal", trial="a_0", job="hopper-1")
    [(value, tags)] = recorder.calls
    assert value == 80.0
    assert tags == {JOB_LABEL: "hopper-1", "stage": "", "trial": "a_0", "trial_name": "", "condition": "normal"}
    assert set(metrics.SCORE.labels) == tags.keys()
    metrics.forget_gauges()


def test_counters_only_grow(recorder: Recorder) -> None:
    for amount in (0, -3, 2):
        metrics.ENV_STEPS.add(amount)
    assert [amount for amount, _ in recorder.calls] == [2]


def test_gauges_are_set_again_until_they_are_forgotten(recorder: Recorder) -> None:
    metrics.forget_gauges()
    for value in (0.1, 0.2):
        metrics.Q.set(value, trial="a_0")
    metrics.Q.set(0.7, trial="a_1")
    recorder.calls.clear()
    metrics.Q.set_again()
    assert sorted((value, tags["trial"]) for value, tags in recorder.calls) == [(0.2, "a_0"), (0.7, "a_1")]
    metrics.forget_gauges()
    metrics.Q.set_again()
    assert len(recorder.calls) == 2


def test_the_documentation_lists_them_all() -> None:
    text = (ROOT / "docs" / "observability.md").read_text()
    assert set(re.findall(r"^\| `(ray_afrl_\w+)`", text, re.MULTILINE)) == exported_names().keys()
