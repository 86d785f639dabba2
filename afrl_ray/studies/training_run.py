"""A fine-tuning on disk: shared by all studies that need it, and one that can always go on."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from afrl_ray.config import ExperimentSettings, LinearCurriculum
from afrl_ray.pipeline.artifacts import Stage, read_json, recover_directory
from afrl_ray.pipeline.training import RECORD
from afrl_ray.pipeline.trial import total_evaluations
from afrl_ray.studies.foundations import Foundation

PolicyKind = Literal["final", "best"]
"""The policy at a step, or the one of all evaluations until then with the best validation score."""


@dataclass(frozen=True)
class TrainingRun:
    """One fine-tuning, identified by everything but its length: a longer one begins as a shorter one does.

    Only under the linear curriculum, whose q depends on the length, the length is part of the identity.

    In its folder: `checkpoint`, from which it goes on; `policies/STEP.safetensors` and `policies/STEP.best.safetensors`
    at every `policy_interval` steps; a manifest once it has reached a length that was asked for.
    """

    settings: ExperimentSettings
    """finetune.steps is how far it is wanted now."""
    store: Path
    policy_interval: int

    @cached_property
    def foundation(self) -> Foundation:
        return Foundation(self.settings, self.store)

    @cached_property
    def stage(self) -> Stage:
        finetune = self.settings.finetune.model_dump(mode="json")
        if not isinstance(self.settings.curriculum, LinearCurriculum):
            del finetune["steps"]
        inputs = {"pretrain": self.foundation.pretrain.key, "attack": self.foundation.attack.key}
        return self.foundation.experiment.stage(
            "run", {"perturbation", "curriculum"}, inputs, finetune=finetune, policy_interval=self.policy_interval
        )

    @property
    def steps(self) -> int:
        return self.settings.finetune.steps

    @property
    def checkpoint(self) -> Path:
        return self.stage.directory / "checkpoint"

    def policy_file(self, step: int, kind: PolicyKind) -> Path:
        suffix = ".best.safetensors" if kind == "best" else ".safetensors"
        return self.stage.directory / "policies" / f"{step}{suffix}"

    @property
    def followed(self) -> str:
        """Where there is a flag while a driver tells MLflow of the run; it stays where the driver is killed."""
        return f"{self.stage.location}{'/' if self.stage.mirror is None else '.'}followed"

    def due_at(self, evaluation: int) -> int:
        """Environment steps after which evaluation number `evaluation` is due; the first, number 0, is at the start."""
        return min(evaluation * self.settings.finetune.evaluation_interval, self.steps)

    def reached(self) -> int:
        """Environment steps of its last checkpoint; 0 where there is none."""
        self.stage.refresh()
        directory = recover_directory(self.checkpoint)
        return int(read_json(directory / RECORD)["step"]) if directory else 0

    def finished(self) -> bool:
        """Whether it has got as far as it is wanted."""
        return self.reached() >= self.steps

    def curve(self) -> list[dict[str, Any]]:
        """Rows env_steps, normal, random, adversarial, mean, q, average of every evaluation until `steps`."""
        self.stage.refresh()
        directory = recover_directory(self.checkpoint)
        rows = read_json(directory / RECORD)["curve"] if directory else []
        return list(rows[: total_evaluations(self.settings) + 1])

    def as_config(self, name: str, varied: Mapping[str, Any]) -> dict[str, Any]:
        """What Tune hands to the process that trains it."""
        return {
            "settings": self.settings.model_dump(mode="json"),
            "store": str(self.store),
            "policy_interval": self.policy_interval,
            "key": self.stage.directory.name,
            "foundation": self.foundation.key,
            "name": name,
            "varied": json.loads(json.dumps(dict(varied), default=str)),
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "TrainingRun":
        """What `as_config` described."""
        settings = ExperimentSettings.model_validate(config["settings"])
        return cls(settings, Path(config["store"]), config["policy_interval"])
