"""What a study is at a scale, and the cases that it comes to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from afrl_ray.config import ConfigError, ExperimentSettings
from afrl_ray.config.study import AnyStudy, AttackersBudget, ScaleSettings, StudyBudget
from afrl_ray.envs import robots


def named_robot(name: str) -> robots.Robot:
    """The robot with this short name, Gymnasium id or D4RL name.

    Raises:
        ConfigError: there is none.
    """
    if (robot := robots.find_robot(name)) is None:
        known = ", ".join(known.name for known in robots.ROBOTS)
        raise ConfigError(f"{name!r} is no robot; write one of {known}{robots.did_you_mean(name)}")
    return robot


@dataclass(frozen=True)
class Plan:
    """What a study is at a scale."""

    name: str
    study: AnyStudy
    scale_name: str
    scale: ScaleSettings
    output: Path
    """Folder of all studies' stages and results, or this machine's working copy of them."""
    robots: tuple[str, ...] = ()
    """Names or Gymnasium ids, instead of the study's or the scale's."""
    seeds: int | None = None
    """Instead of the study's or the scale's."""
    overrides: Mapping[str, Any] = field(default_factory=dict)
    """Dotted settings that go before all that arms share; what arms differ in they cannot change."""
    uri: str | None = None
    """Where stages and results are, if not in a folder."""
    reuse: Path | None = None
    """A folder of earlier results, by study: the runs that they are of are not made again."""

    @property
    def location(self) -> str:
        """The folder or the URI."""
        return self.uri or str(self.output)

    @property
    def budget(self) -> StudyBudget | AttackersBudget:
        """
        Raises:
            ConfigError: the study does not have this scale.
        """
        if self.scale_name not in self.study.scales:
            known = ", ".join(self.study.scales)
            raise ConfigError(f"study {self.name} has no scale {self.scale_name}; write one of {known}")
        return self.study.scales[self.scale_name]


@dataclass(frozen=True)
class Case:
    """One arm of a study, for one robot and one seed."""

    arm: str
    """What tables and figures call it; with the grid's values, where there are any."""
    robot: str
    """As `robot_label` has it."""
    seed: int
    settings: ExperimentSettings
    varied: Mapping[str, Any] = field(default_factory=dict)
    """The grid's values, by dotted setting."""
    trained: bool = False
    """Whether it goes beyond pretraining."""
    reads: tuple[int, ...] = ()
    """Environment steps at which the policy of a trained one is measured, the last one being the end."""
    policy_interval: int = 0
    match: "Case | None" = None
    """The case whose mean q this one's q_max is calibrated to, so that it can only be run afterwards."""

    @property
    def steps(self) -> int:
        """Of a trained one."""
        return self.reads[-1]

    @property
    def name(self) -> str:
        """Unlike that of any other case of the study."""
        return f"{self.robot} {self.seed} {self.arm}"
