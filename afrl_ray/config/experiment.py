"""The whole experiment: one immutable tree of settings."""

import os
from pathlib import Path
from typing import Literal

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from afrl_ray.config.algorithm import OfflineAlgorithm, OnlineAlgorithm, PolicyKind, TD3BCSettings, TD3Settings
from afrl_ray.config.base import Settings, require_steps_to_learn_in
from afrl_ray.config.curriculum import CurriculumSettings, FixedCurriculum
from afrl_ray.config.data import DataSettings, GeneratedData
from afrl_ray.config.environment import EnvironmentSettings
from afrl_ray.config.evaluation import ConditionSettings, EvaluationSettings
from afrl_ray.config.introspection import member_type, section_members
from afrl_ray.config.location import Location, is_uri, scratch_folder, storage_uri
from afrl_ray.config.perturbation import AttackSettings, PerturbationSettings, check_condition
from afrl_ray.config.runtime import RuntimeSettings, TrackingSettings
from afrl_ray.config.search import SearchSettings


class PretrainSettings(Settings):
    """Phase 1: offline pretraining."""

    algorithm: OfflineAlgorithm = TD3BCSettings()
    updates: PositiveInt = 5_000_000
    """Gradient updates of the critics."""
    evaluation_interval: PositiveInt = 10_000
    """Updates between two evaluations of the nominal score."""
    evaluation_episodes: PositiveInt = 10
    checkpoint_interval: PositiveInt = 50_000
    """Updates between two checkpoints; one is also written at the first evaluation after five minutes without."""

    @model_validator(mode="after")
    def _evaluated_at_least_once(self) -> "PretrainSettings":
        if self.evaluation_interval > self.updates:
            raise ValueError(
                f"evaluation_interval ({self.evaluation_interval}) is longer than updates ({self.updates}); "
                f"write evaluation_interval: {self.updates} or less"
            )
        return self


class FinetuneSettings(Settings):
    """Phase 3: online fine-tuning under perturbations."""

    start: Literal["pretrained", "scratch"] = "pretrained"
    """pretrained: networks and statistics of the offline algorithm, replay with offline data. scratch: fresh networks,
    an empty replay and raw observations, as a fully online training has it."""
    algorithm: OnlineAlgorithm = TD3Settings()
    steps: PositiveInt = 1_000_000
    """Environment steps, one update each."""
    random_steps: NonNegativeInt = 25_000
    """With start: scratch the first steps, with uniformly random actions and without updates (the value of TD3's
    code)."""
    offline_ratio: float = Field(1.0, ge=0, le=1)
    """Share of the offline data, drawn uniformly, that the replay starts with; none with start: scratch. The value is
    ours."""
    replay_capacity: PositiveInt = 2_000_000
    num_envs: PositiveInt = 1
    """Environments stepped together by one env runner."""
    evaluation_interval: PositiveInt = 5_000
    """Environment steps between two evaluations, which are also the steps of the curriculum."""
    validation_episodes: PositiveInt = 10
    """Episodes per condition in each of these evaluations."""
    checkpoint_interval: PositiveInt = 5_000
    """Environment steps between two checkpoints; a multiple of evaluation_interval."""

    @model_validator(mode="after")
    def _intervals_and_capacity_fit(self) -> "FinetuneSettings":
        interval = self.evaluation_interval
        if interval > self.steps:
            raise ValueError(
                f"evaluation_interval ({interval}) is longer than steps ({self.steps}); "
                f"write evaluation_interval: {self.steps} or less"
            )
        if self.start == "scratch":
            require_steps_to_learn_in(self.random_steps, self.steps)
        if self.checkpoint_interval % interval:
            nearest = max(round(self.checkpoint_interval / interval), 1) * interval
            raise ValueError(
                f"checkpoint_interval ({self.checkpoint_interval}) is not a multiple of evaluation_interval "
                f"({interval}); write checkpoint_interval: {nearest}"
            )
        if self.replay_capacity < self.algorithm.batch_size:
            raise ValueError(
                f"replay_capacity ({self.replay_capacity}) is smaller than one batch "
                f"(algorithm.batch_size is {self.algorithm.batch_size})"
            )
        return self


class ExperimentSettings(Settings):
    """Everything one `afrl run` needs."""

    name: str = Field("experiment", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """Names the output folder and the MLflow experiment's parent run."""
    seed: NonNegativeInt = 0
    """The one seed: every random generator is derived from it by name."""
    output: Location | None = None
    """Folder of all results, or s3://BUCKET/PREFIX; runs/NAME when not given. A relative one is below the folder or URI
    that the environment variable AFRL_STORAGE names, or below the current folder."""
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

    @model_validator(mode="after")
    def _replay_holds_the_offline_rows(self) -> "ExperimentSettings":
        if self.data.transitions is not None:
            self.require_room_for(self.data.transitions)
        return self

    def require_room_for(self, rows: int) -> None:
        """
        Raises:
            ValueError: the replay of fine-tuning cannot hold its share of `rows` offline transitions.
        """
        share = round(rows * self.finetune.offline_ratio)
        if self.finetune.start == "pretrained" and share > self.finetune.replay_capacity:
            raise ValueError(
                f"finetune.replay_capacity ({self.finetune.replay_capacity}) cannot hold the {share} offline "
                "transitions it starts with (data.transitions times finetune.offline_ratio)"
            )

    @model_validator(mode="after")
    def _networks_can_be_handed_over(self) -> "ExperimentSettings":
        if self.finetune.start == "scratch":
            return self
        offline, online = self.pretrain.algorithm, self.finetune.algorithm
        if offline.policy_kind != online.policy_kind:
            takers = _types_with(FinetuneSettings, offline.policy_kind)
            makers = _types_with(PretrainSettings, online.policy_kind)
            raise ValueError(
                f"finetune.algorithm.type={online.type} cannot take the {offline.policy_kind} policy of "
                f"pretrain.algorithm.type={offline.type}; set finetune.algorithm.type to {takers}, "
                f"or pretrain.algorithm.type to {makers}"
            )
        for name in ("hidden_sizes", "critic_layer_norm"):
            before, after = getattr(offline, name), getattr(online, name)
            if before != after:
                raise ValueError(
                    f"pretrain.algorithm.{name} ({before}) is not finetune.algorithm.{name} ({after}), and fine-tuning "
                    "starts with the networks of pretraining; write the same for both"
                )
        return self

    @model_validator(mode="after")
    def _population_trains_together(self) -> "ExperimentSettings":
        search, finetune, at_once = self.search, self.finetune, self.runtime.trials_at_once
        if search is None or search.scheduler != "pbt":
            return self
        if at_once is not None and at_once < search.samples:
            raise ValueError(
                f"the {search.samples} members of a population train together, and runtime.trials_at_once is "
                f"{at_once}; write runtime.trials_at_once: {search.samples}, or leave it out"
            )
        if search.exploit_evaluations * finetune.evaluation_interval % finetune.checkpoint_interval:
            raise ValueError(
                f"members of a population go on from each other's checkpoints: search.exploit_evaluations "
                f"({search.exploit_evaluations}) times finetune.evaluation_interval ({finetune.evaluation_interval}) "
                f"is not a multiple of finetune.checkpoint_interval ({finetune.checkpoint_interval})"
            )
        return self

    @model_validator(mode="after")
    def _epsilon_bounds_something(self) -> "ExperimentSettings":
        own, epsilon = self.perturbation.fault, self.perturbation.epsilon
        others = [one.fault for one in self.evaluation.conditions if isinstance(one, ConditionSettings)]
        if epsilon is not None and not any(fault.needs_epsilon for fault in (own, *others)):
            raise ValueError(
                f"perturbation.epsilon ({epsilon:g}) is the bound of multiplicative faults, and "
                f"perturbation.fault.type is {own.type}; write perturbation.fault.magnitude instead"
            )
        return self

    @model_validator(mode="after")
    def _conditions_fit_the_fault(self) -> "ExperimentSettings":
        if "pgd" in self.evaluation.conditions:
            try:
                check_condition("pgd", self.perturbation.fault)
            except ValueError as error:
                raise ValueError(f"evaluation.conditions: {error}") from error
        return self

    @property
    def output_uri(self) -> str | None:
        """The URI of all results; None where they are in a folder.

        Raises:
            ValueError: AFRL_STORAGE is a URI of another kind.
        """
        output, root = self.output or Path("runs") / self.name, os.environ.get("AFRL_STORAGE") or ""
        if isinstance(output, str):
            return output
        if is_uri(root) and not output.expanduser().is_absolute():
            return storage_uri(f"{root.rstrip('/')}/{output.as_posix()}")
        return None

    @property
    def output_directory(self) -> Path:
        """The folder of all results: `output`, or this machine's working copy where that is a URI.

        A relative one is taken from AFRL_STORAGE, or from the current folder where that is not set.
        """
        uri = self.output_uri
        if uri is not None:
            return scratch_folder() / uri.replace("://", "/")
        root = Path(os.environ.get("AFRL_STORAGE") or ".")
        return (root.expanduser() / Path(self.output or Path("runs") / self.name).expanduser()).absolute()

    @property
    def tracking_neighbour(self) -> Path:
        """The folder that MLflow's file lies beside, where no server is named: a database cannot be below a URI."""
        return self.output_directory if self.output_uri is None else (Path("runs") / self.name).absolute()


def _types_with(section: type[PretrainSettings] | type[FinetuneSettings], policy_kind: PolicyKind) -> str:
    """The algorithms of `section` that have such a policy."""
    members = section_members(section, "algorithm")
    return " or ".join(member_type(member) for member in members if getattr(member, "policy_kind", None) == policy_kind)
