"""An experiment on disk: where each stage lives, what it depends on, and whom it reports to."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from afrl_ray.config import FAULTS, ExperimentSettings, FaultSettings
from afrl_ray.envs import Robot, find_robot
from afrl_ray.pipeline.artifacts import Stage
from afrl_ray.tracking import ExperimentTracker


@dataclass(frozen=True)
class Experiment:
    """Settings, and everything that follows from them without running anything."""

    settings: ExperimentSettings
    store: Path | None = None
    """Where given, stages stand here under their keys, shared by all experiments that need them."""

    @property
    def directory(self) -> Path:
        return self.settings.output_directory

    @property
    def robot(self) -> Robot | None:
        return find_robot(self.settings.environment.id)

    @cached_property
    def epsilon(self) -> float:
        """The bound on |δ|.

        Raises:
            ValueError: it is not set, and the environment is no robot that has one.
        """
        given = self.settings.perturbation.epsilon
        if given is not None:
            return given
        if self.robot is None:
            raise ValueError(f"{self.settings.environment.id} has no default bound; set perturbation.epsilon")
        return self.robot.epsilon

    @cached_property
    def fault(self) -> FaultSettings:
        """The fault of training, and of the conditions that name none, with its magnitude."""
        return self.resolved(self.settings.perturbation.fault)

    def resolved(self, fault: FaultSettings) -> FaultSettings:
        """`fault` with its magnitude: its own, its kind's default, or ε.

        Raises:
            ValueError: it is ε, which is not known.
        """
        needs_epsilon = fault.magnitude is None and FAULTS[fault.type].default is None
        return fault.resolved(self.epsilon if needs_epsilon else None)

    @cached_property
    def tracker(self) -> ExperimentTracker:
        return ExperimentTracker(self.settings.tracking, self.directory, self.settings.name)

    def stage(self, name: str, sections: Iterable[str], inputs: Mapping[str, str], **extra: Any) -> Stage:
        """The stage called `name`, which depends on these sections of the settings and on the stages in `inputs`."""
        settings = self.settings.model_dump(mode="json", include={"seed", "environment", *sections})
        stage = Stage(name, self.directory / name, {**settings, **extra}, inputs)
        return stage if self.store is None else replace(stage, directory=self.store / f"{name}-{stage.key[:16]}")
