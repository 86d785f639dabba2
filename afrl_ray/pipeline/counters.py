"""What a training has done, for Ray's metrics: read now and then from the algorithm's own counts."""

from ray.rllib.utils.metrics import (
    ALL_MODULES,
    ENV_RUNNER_RESULTS,
    LEARNER_RESULTS,
    NUM_ENV_STEPS_SAMPLED_LIFETIME,
    NUM_EPISODES_LIFETIME,
)

from afrl_ray.algorithms import OffPolicyAlgorithm
from afrl_ray.algorithms.env_runner import NUM_FAULT_DRAWS_LIFETIME
from afrl_ray.algorithms.learner import NUM_UPDATES_LIFETIME
from afrl_ray.telemetry.metrics import ENV_STEPS, EPISODES, FAILURES, FAULT_DRAWS, UPDATES, Counter

_COUNTS = {
    ENV_STEPS: (ENV_RUNNER_RESULTS, NUM_ENV_STEPS_SAMPLED_LIFETIME),
    UPDATES: (LEARNER_RESULTS, ALL_MODULES, NUM_UPDATES_LIFETIME),
    EPISODES: (ENV_RUNNER_RESULTS, NUM_EPISODES_LIFETIME),
    FAULT_DRAWS: (ENV_RUNNER_RESULTS, NUM_FAULT_DRAWS_LIFETIME),
}


class TrainingCounters:
    """Counts from where the algorithm is now; what it did before a restart is not counted twice."""

    def __init__(self, algorithm: OffPolicyAlgorithm, condition: str = "") -> None:
        """`condition` is what faults are drawn under."""
        self._algorithm = algorithm
        self._labels = {FAULT_DRAWS: {"condition": condition}, FAILURES: {"kind": "env runner"}}
        self._counted = self._counts()

    def read(self) -> None:
        """Export what has been added since the last call."""
        now = self._counts()
        for counter, count in now.items():
            counter.add(count - self._counted[counter], **self._labels.get(counter, {}))
        self._counted = now

    def _counts(self) -> dict[Counter, float]:
        counts = {counter: float(self._algorithm.metrics.peek(path, default=0)) for counter, path in _COUNTS.items()}
        return {**counts, FAILURES: float(self._algorithm.lost_env_runners)}
