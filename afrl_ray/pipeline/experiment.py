"""An experiment on disk: where each stage lives, what it depends on, and whom it reports to."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from afrl_ray.config import ExperimentSettings, FaultSettings
from afrl_ray.envs import Robot, find_robot
from afrl_ray.pipeline.artifacts import Stage
from afrl_ray.pipeline.identity import Part, content_key, identity
from afrl_ray.pipeline.mirror import Mirror
from afrl_ray.tracking import IDENTITY_FILE, ExperimentTracker, default_uri

CONFIG_FILE = "config.yaml"
STAGES = "stages"
"""Folder of the stages that several experiments share."""


def pinned(settings: ExperimentSettings) -> ExperimentSettings:
    """`settings` with the output and the tracking URI that this process finds, for all processes of a job: their
    environments and folders may say otherwise.

    Raises:
        ValueError: the URI of one of them is of no kind that is known.
    """
    tracking = settings.tracking
    if tracking.enabled:
        uri = default_uri(tracking, settings.tracking_neighbour)
        tracking = tracking.model_copy(update={"uri": uri})
    output = settings.output_uri or settings.output_directory
    return settings.model_copy(update={"output": output, "tracking": tracking})


@dataclass(frozen=True)
class Experiment:
    """Settings, and everything that follows from them without running anything."""

    settings: ExperimentSettings
    store: Path | None = None
    """Where given, stages stand here under their keys, shared by all experiments that need them."""
    copy: Path | None = None
    """Folder of this process's own working copies, where the stages are below a URI and others have theirs."""

    @property
    def directory(self) -> Path:
        return self.settings.output_directory

    @cached_property
    def _mirror(self) -> Mirror | None:
        uri = self.settings.output_uri
        return None if uri is None else Mirror(uri, only=(CONFIG_FILE, IDENTITY_FILE))

    def keep(self) -> None:
        """Make safe what belongs to no stage: settings, and the identity of its tracked runs."""
        if self._mirror is not None:
            self._mirror.publish(self.directory, "experiment")

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
        return fault.resolved(self.epsilon if fault.needs_epsilon else None)

    @cached_property
    def tracker(self) -> ExperimentTracker:
        if self._mirror is not None:
            index = self._mirror.index()
            if index is not None:
                self._mirror.fetch(self.directory, index)
        settings = self.settings
        tracker = ExperimentTracker(
            settings.tracking,
            self.directory,
            settings.name,
            variant=self._variant,
            location=settings.output_uri,
            neighbour=settings.tracking_neighbour,
        )
        self.keep()
        return tracker

    @property
    def _variant(self) -> str:
        """Short for everything that could change a result; experiments that share their stages share their runs."""
        if self.store is not None:
            return ""
        return content_key(identity(self.settings, "everything"))[:8]

    def stage(self, name: str, part: Part, inputs: Mapping[str, str], folder: str | None = None, **extra: Any) -> Stage:
        """The stage called `name`, which does `part` of the work on the stages in `inputs`.

        Outside of a store its folder is called `name`, or `folder` and the beginning of its key.
        """
        stage = Stage(name, self.directory / name, {**identity(self.settings, part), **extra}, inputs)
        place = name if folder is None else f"{folder}-{stage.key[:8]}"
        directory = self.directory / place
        if self.store is not None:
            directory, place = self.store / f"{name}-{stage.key[:16]}", f"{STAGES}/{name}-{stage.key[:16]}"
        uri = self.settings.output_uri
        if uri is None:
            return replace(stage, directory=directory)
        return replace(stage, directory=self.copy / place if self.copy else directory, mirror=Mirror(f"{uri}/{place}"))
