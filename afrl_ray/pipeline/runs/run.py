"""A fine-tuning on disk: found again by its key, and one that can always go on."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from afrl_ray.config import ExperimentSettings, with_settings
from afrl_ray.curriculum.schedules import total_evaluations
from afrl_ray.pipeline.artifacts import Stage, read_json, recover_directory
from afrl_ray.pipeline.experiment import Experiment
from afrl_ray.pipeline.foundation import Foundation
from afrl_ray.pipeline.runs.names import file_name
from afrl_ray.pipeline.training import BEST_POLICY, RECORD
from afrl_ray.storage import set_flag

FOLDER = "runs"
CURVE = "curve.json"
DRAWN = "drawn.json"
PolicyKind = Literal["final", "best"]
"""The policy at a step, or the one of all evaluations until then with the best validation score."""


@dataclass(frozen=True)
class TrainingRun:
    """One fine-tuning of an experiment, a search or any number of studies.

    In a store, which studies share, it is identified by everything but its length where it can grow; elsewhere it has
    the length that it was asked for.

    In its folder: `curve.json` and `best.safetensors` as of the last evaluation; `checkpoint`, from which it goes on,
    and `replay`, the rows that it names; `policies/STEP.safetensors` and `policies/STEP.best.safetensors` at every
    `policy_interval` steps; a manifest once it has reached a length that was asked for.
    """

    name: str
    """What people call it."""
    base: ExperimentSettings
    """Of all trials of a search; a study's case in full."""
    drawn: Mapping[str, Any] = field(default_factory=dict)
    """What the search has drawn for it, by dotted setting."""
    store: Path | None = None
    policy_interval: int = 0
    """Environment steps between two policies that are kept; 0: none is."""
    varied: Mapping[str, Any] = field(default_factory=dict)
    """What a study's grid gives it, for people."""
    apart: Mapping[str, Any] = field(default_factory=dict)
    """What tells it apart beside its settings; with `population` in it, it is told apart by that instead of `drawn`."""
    copy: Path | None = None

    @cached_property
    def settings(self) -> ExperimentSettings:
        """Its own; finetune.steps is how far it is wanted now."""
        return with_settings(self.base, self.drawn) if self.drawn else self.base

    @cached_property
    def foundation(self) -> Foundation:
        return Foundation(self.base, self.store, self.copy)

    @cached_property
    def stage(self) -> Stage:
        inputs = {"pretrain": self.foundation.pretrain.key, "attack": self.foundation.attack.key}
        settings = self.base if "population" in self.apart else self.settings
        extra: dict[str, Any] = {"policy_interval": self.policy_interval, **self.apart}
        if self.store is None:
            extra["steps"] = self.steps
        folder = f"{FOLDER}/{file_name(self.name)}"
        return Experiment(settings, self.store, self.copy).stage("run", "run", inputs, folder, **extra)

    @property
    def steps(self) -> int:
        return self.settings.finetune.steps

    @property
    def checkpoint(self) -> Path:
        return self.stage.directory / "checkpoint"

    @property
    def best_policy(self) -> Path:
        """The policy with the best validation score of all evaluations so far."""
        return self.stage.directory / BEST_POLICY

    def policy_file(self, step: int, kind: PolicyKind) -> Path:
        suffix = ".best.safetensors" if kind == "best" else ".safetensors"
        return self.stage.directory / "policies" / f"{step}{suffix}"

    @property
    def followed(self) -> str:
        """Where there is a flag while a driver tells MLflow of the run; it stays where the driver is killed."""
        return f"{self.stage.location}{'/' if self.stage.mirror is None else '.'}followed"

    def begin(self) -> None:
        """Make its folder ready, and note there that MLflow is being told of it.

        Raises:
            ValueError: the folder holds files that no run has made, or is damaged; or an earlier version ended a run of
                these settings between two checkpoints, where a longer one could not go on as if it had not.
        """
        interval = self.settings.finetune.checkpoint_interval
        if self.store is not None and self.steps % interval:
            longer = replace(self, base=with_settings(self.base, {"finetune.steps": interval}))
            if longer.reached() % interval:
                raise ValueError(
                    f"{longer.stage.location} is of an earlier version of afrl_ray, and ends between two checkpoints: "
                    "move it away, and its run is made anew"
                )
        self.stage.begin()
        set_flag(self.followed)

    def due_at(self, evaluation: int) -> int:
        """Environment steps after which evaluation number `evaluation` is due; the first, number 0, is at the start."""
        return min(evaluation * self.settings.finetune.evaluation_interval, self.steps)

    def _last_checkpoint(self) -> Path | None:
        self.stage.refresh()
        return recover_directory(self.checkpoint)

    def reached(self) -> int:
        """Environment steps of its last checkpoint; 0 where there is none."""
        directory = self._last_checkpoint()
        return int(read_json(directory / RECORD)["step"]) if directory else 0

    def finished(self) -> bool:
        """Whether it has got as far as it is wanted."""
        return self.reached() >= self.steps

    def curve(self) -> list[dict[str, Any]]:
        """Rows env_steps, normal, random, adversarial, mean, q, average of every evaluation until `steps`."""
        directory = self._last_checkpoint()
        rows = read_json(self.stage.directory / CURVE)
        if rows is None:  # it has not been gone on with since an earlier version
            rows = read_json(directory / RECORD)["curve"] if directory else []
        return list(rows[: total_evaluations(self.settings.finetune) + 1])

    def in_force(self) -> dict[str, Any]:
        """What a population has put in force in it; what it was drawn with where that is nothing yet."""
        directory = self._last_checkpoint()
        known = read_json(directory / DRAWN) if directory else None
        return dict(known["drawn"] if known else self.drawn)

    def as_config(self) -> dict[str, Any]:
        """What Tune hands to the process that trains it: `run`, and `drawn`, which a scheduler may change."""
        run = {
            "name": self.name,
            "key": self.stage.directory.name,
            "foundation": self.foundation.key,
            "base": self.base.model_dump(mode="json"),
            "store": str(self.store) if self.store else None,
            "policy_interval": self.policy_interval,
            "checkpoint": self.stage.shown(self.checkpoint),
            "varied": json.loads(json.dumps(dict(self.varied), default=str)),
            "apart": dict(self.apart),
        }
        return {"run": run, "drawn": dict(self.drawn)}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "TrainingRun":
        """What `as_config` described."""
        run = config["run"]
        return cls(
            name=run["name"],
            base=ExperimentSettings.model_validate(run["base"]),
            drawn=config["drawn"],
            store=Path(run["store"]) if run["store"] else None,
            policy_interval=run["policy_interval"],
            varied=run["varied"],
            apart=run["apart"],
        )


def best_row(curve: list[dict[str, Any]]) -> dict[str, Any]:
    """The first evaluation with the highest mean score; one that is no number counts least."""
    return max(curve, key=lambda row: row["mean"] if row["mean"] == row["mean"] else float("-inf"))
