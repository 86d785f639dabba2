"""What a training adds to Ray's counters."""

from types import SimpleNamespace
from typing import Any

import pytest

from afrl_ray.algorithms.off_policy import OffPolicyAlgorithm
from afrl_ray.pipeline.counters import TrainingCounters
from afrl_ray.telemetry import metrics
from trainings import STEPS, build


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
    algorithm.env_runner_group = group(restarts=1, remote=3, healthy=3)  # before these counters
    counters = TrainingCounters(algorithm)
    found = []
    for restarts, healthy in ((1, 3), (1, 1), (3, 3), (3, 2)):
        algorithm.env_runner_group = group(restarts, 3, healthy)
        counters.read()
        [(amount, labels)] = [(amount, labels) for name, amount, labels in counted if name == "afrl_failures"]
        assert labels == {"kind": "env runner"}
        found.append(amount)
        counted.clear()
    assert found == [0, 2, 0, 1]  # it comes back, which is no failure of its own
    algorithm.env_runner_group = None
    assert algorithm.lost_env_runners == 0


@pytest.mark.slow
@pytest.mark.usefixtures("ray_session")
def test_a_training_is_counted_as_rllib_counts_it(monkeypatch: pytest.MonkeyPatch) -> None:
    counted: dict[str, float] = {}

    def add(self: metrics.Counter, amount: float, **_: str) -> None:
        counted[self.name] = counted.get(self.name, 0) + amount

    monkeypatch.setattr(metrics.Counter, "add", add)
    algorithm = build("TD3")
    algorithm.train()
    counters = TrainingCounters(algorithm)  # what was before is somebody else's
    for _ in range(2):
        algorithm.train()
        counters.read()
    assert counted["afrl_env_steps"] == counted["afrl_updates"] == 2 * STEPS
    assert counted["afrl_episodes"] > 0
    assert counted["afrl_fault_draws"] > 0
    assert counted["afrl_failures"] == 0
    algorithm.stop()
