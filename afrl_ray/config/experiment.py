"""The whole experiment: one immutable tree of settings."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from afrl_ray.config.algorithm import TD3BCSettings, TD3Settings
from afrl_ray.config.base import Settings
from afrl_ray.config.curriculum import CurriculumSettings, FixedCurriculum
from afrl_ray.config.data import DataSettings, GeneratedData
from afrl_ray.config.environment import EnvironmentSettings
from afrl_ray.config.evaluation import EvaluationSettings
from afrl_ray.config.perturbation import AttackSettings, PerturbationSettings
from afrl_ray.config.runtime import RuntimeSettings, TrackingSettings


class PretrainSettings(Settings):
    """Phase 1: offline pretraining."""

    algorithm: TD3BCSettings = TD3BCSettings()
    updates: PositiveInt = 5_000_000
    """Gradient updates of the critics."""
    evaluation_interval: PositiveInt = 10_000
    """Updates between two evaluations of the nominal score."""
    evaluation_episodes: PositiveInt = 10
    checkpoint_interval: PositiveInt = 50_000
    """Updates between two checkpoints."""


class FinetuneSettings(Settings):
    """Phase 3: online fine-tuning under perturbations."""

    algorithm: TD3Settings = TD3Settings()
    steps: PositiveInt = 1_000_000
    """Environment steps, one update each."""
    offline_ratio: float = Field(1.0, ge=0, le=1)
    """Share of the offline data, drawn uniformly, that the replay starts with. The value is ours."""
    replay_capacity: PositiveInt = 2_000_000
    num_envs: PositiveInt = 1
    """Environments stepped together by one env runner."""
    evaluation_interval: PositiveInt = 5_000
    """Environment steps between two evaluations, which are also the steps of the curriculum."""
    validation_episodes: PositiveInt = 10
    """Episodes per condition in each of these evaluations."""
    checkpoint_interval: PositiveInt = 5_000
    """Environment steps between two checkpoints; a multiple of evaluation_interval."""


class SearchSettings(Settings):
    """Trials of the fine-tuning stage that differ in some settings."""

    method: Literal["grid", "random"] = "grid"
    space: dict[str, Any]
    """Dotted setting -> list of choices, or {uniform|loguniform: [low, high]} for random search."""
    samples: PositiveInt = 1
    """Number of trials of a random search; repetitions of a grid."""
    scheduler: Literal["fifo", "asha"] = "fifo"
    """The Tune scheduler that the curriculum scheduler wraps."""
    grace_evaluations: PositiveInt = 3
    """ASHA never stops a trial before this many evaluations."""


class ExperimentSettings(Settings):
    """Everything one `afrl run` needs."""

    name: str = Field("experiment", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """Names the output folder and the MLflow experiment's parent run."""
    seed: NonNegativeInt = 0
    """The one seed: every random generator is derived from it by name."""
    output: Path | None = None
    """Folder of all results; runs/NAME when not given."""
    environment: EnvironmentSettings = EnvironmentSettings()
    data: DataSettings = GeneratedData()
    pretrain: PretrainSettings = PretrainSettings()
    perturbation: PerturbationSettings = PerturbationSettings()
    attack: AttackSettings = AttackSettings()
    finetune: FinetuneSettings = FinetuneSettings()
    curriculum: CurriculumSettings = FixedCurriculum()
    search: SearchSettings | None = None
    evaluation: EvaluationSettings = EvaluationSettings()
    tracking: TrackingSettings = TrackingSettings()
    runtime: RuntimeSettings = RuntimeSettings()

    @property
    def output_directory(self) -> Path:
        return (self.output or Path("runs") / self.name).expanduser().absolute()
