"""A training under way: the algorithm, its learning curve and the best policy so far, saved and restored together."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.utils.metrics import LEARNER_RESULTS

from afrl_ray.algorithms import OffPolicyAlgorithm
from afrl_ray.networks import Policy, load_policy_file, save_policy_file
from afrl_ray.pipeline.artifacts import read_json, recover_directory, replacing_directory, write_json

_ALGORITHM = "algorithm"
RECORD = "training.json"
BEST_POLICY = "best.safetensors"


@dataclass
class BestPolicy:
    """The policy with the highest validation score so far."""

    score: float
    step: int
    policy: Policy


@dataclass
class Training:
    """Whoever trains decides what to measure; this keeps it together."""

    algorithm: OffPolicyAlgorithm
    curve: list[dict[str, Any]] = field(default_factory=list)
    best: BestPolicy | None = None

    def advance(self, until_step: int, on_progress: Callable[[int], None] | None = None) -> dict[str, Any]:
        """Train until `until_step` (environment steps, or updates offline); returns RLlib's last result."""
        result: dict[str, Any] = {}
        self.algorithm.end_of_round = until_step
        while self.algorithm.step_count < until_step:
            result = self.algorithm.train()
            if on_progress:
                on_progress(self.algorithm.step_count)
        return result

    def record(self, row: dict[str, Any], score: float) -> bool:
        """Append an evaluation to the curve; True if its score is the best so far, whose policy is then kept."""
        self.curve.append({"step": self.algorithm.step_count, **row})
        beaten = self.best is None or score > self.best.score or math.isnan(self.best.score)
        if not beaten:
            return False
        self.best = BestPolicy(score, self.algorithm.step_count, self.algorithm.evaluation_policy())
        return True

    def save(self, directory: Path) -> None:
        """Write everything into `directory`, which must be empty or absent."""
        self.algorithm.save_to_path(directory / _ALGORITHM)
        if self.best:
            record = {"score": self.best.score, "step": self.best.step}
            save_policy_file(self.best.policy, directory / BEST_POLICY, record)
        write_json(directory / RECORD, {"step": self.algorithm.step_count, "curve": self.curve})

    def save_atomically(self, directory: Path) -> None:
        """`save`, under a temporary name until it is complete."""
        with replacing_directory(directory) as temporary:
            self.save(temporary)

    @classmethod
    def load(cls, algorithm: OffPolicyAlgorithm, directory: Path) -> "Training | None":
        """The training saved in `directory`, restored into the freshly built `algorithm`; None if there is none."""
        if recover_directory(directory) is None:
            return None
        algorithm.restore_from_path(directory / _ALGORITHM)
        best = None
        if (directory / BEST_POLICY).exists():
            policy, record = load_policy_file(directory / BEST_POLICY)
            best = BestPolicy(record["score"], record["step"], policy)
        return cls(algorithm, read_json(directory / RECORD)["curve"], best)

    @staticmethod
    def saved_algorithm(directory: Path) -> Path:
        """The RLlib checkpoint inside a saved training."""
        return directory / _ALGORITHM


def learner_metrics(result: Mapping[str, Any]) -> dict[str, float]:
    """Everything that the learner measured in its last updates, by name, from RLlib's result."""
    learner = result.get(LEARNER_RESULTS, {}).get(DEFAULT_MODULE_ID, {})
    return {name: float(value) for name, value in learner.items() if isinstance(value, int | float | np.number)}


def crosses(interval: int, before: int, after: int) -> bool:
    """Whether a multiple of `interval` lies in (before, after]."""
    return before // interval < after // interval
