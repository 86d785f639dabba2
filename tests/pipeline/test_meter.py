"""What a training adds to Ray's counters; algorithm and counters are stand-ins."""

from types import SimpleNamespace
from typing import Any

import pytest

from afrl_ray.algorithms.off_policy import OffPolicyAlgorithm
from afrl_ray.pipeline.meter import TrainingMeter
from afrl_ray.telemetry import metrics


def group(restarts: int, remote: int, healthy: int) -> Any:
    return SimpleNamespace(
        num_remote_worker_restarts=lambda: restarts,
        num_remote_env_runners=lambda: remote,
        num_healthy_remote_env_runners=lambda: healthy,
    )


def test_every_env_runner_that_is_lost_is_one_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[tuple[str, float, dict[str, str]]] = []
    monkeypatch.setattr(
        metrics.Counter, "add", lambda self, amount, **labels: counted.append((self.name, amount, labels))
    )
    algorithm = object.__new__(OffPolicyAlgorithm)
    algorithm.metrics = SimpleNamespace(peek=lambda _path, default: default)
    algorithm.env_runner_group = group(restarts=1, remote=3, healthy=3)  # before this meter
    meter = TrainingMeter(algorithm)
    found = []
    for restarts, healthy in ((1, 3), (1, 1), (3, 3), (3, 2)):
        algorithm.env_runner_group = group(restarts, 3, healthy)
        meter.read()
        [(amount, labels)] = [(amount, labels) for name, amount, labels in counted if name == "afrl_failures"]
        assert labels == {"kind": "env runner"}
        found.append(amount)
        counted.clear()
    assert found == [0, 2, 0, 1]  # it comes back, which is no failure of its own
    algorithm.env_runner_group = None
    assert algorithm.lost_env_runners == 0
