"""Settings of every part, importing neither torch nor Ray."""

from afrl_ray.config.algorithm import (
    CQLSettings,
    IQLSettings,
    OffPolicySettings,
    PolicyKind,
    SACSettings,
    TD3BCSettings,
    TD3Settings,
)
from afrl_ray.config.curriculum import AdaptiveCurriculum, CurriculumSettings, FixedCurriculum, LinearCurriculum
from afrl_ray.config.data import D4RLData, DataSettings, GeneratedData, MinariData
from afrl_ray.config.environment import EnvironmentSettings
from afrl_ray.config.errors import ConfigError
from afrl_ray.config.evaluation import ConditionSettings, EvaluationSettings
from afrl_ray.config.experiment import ExperimentSettings, FinetuneSettings, PretrainSettings
from afrl_ray.config.expert import ExpertSettings
from afrl_ray.config.fault import FAULTS, FaultSettings, Magnitude
from afrl_ray.config.introspection import differences
from afrl_ray.config.loading import load_experiment, load_settings, settings_fingerprint, with_settings
from afrl_ray.config.perturbation import AttackSettings, Condition, PerturbationSettings, PGDSettings, RacingSettings
from afrl_ray.config.resources import ResourceRequest, ResourceSettings
from afrl_ray.config.runtime import RuntimeSettings, TrackingSettings
from afrl_ray.config.search import Choice, LogUniform, SearchSettings, Uniform
from afrl_ray.config.trial import trial_experiment

__all__ = [
    "FAULTS",
    "AdaptiveCurriculum",
    "AttackSettings",
    "CQLSettings",
    "Choice",
    "Condition",
    "ConditionSettings",
    "ConfigError",
    "CurriculumSettings",
    "D4RLData",
    "DataSettings",
    "EnvironmentSettings",
    "EvaluationSettings",
    "ExperimentSettings",
    "ExpertSettings",
    "FaultSettings",
    "FinetuneSettings",
    "FixedCurriculum",
    "GeneratedData",
    "IQLSettings",
    "LinearCurriculum",
    "LogUniform",
    "Magnitude",
    "MinariData",
    "OffPolicySettings",
    "PGDSettings",
    "PerturbationSettings",
    "PolicyKind",
    "PretrainSettings",
    "RacingSettings",
    "ResourceRequest",
    "ResourceSettings",
    "RuntimeSettings",
    "SACSettings",
    "SearchSettings",
    "TD3BCSettings",
    "TD3Settings",
    "TrackingSettings",
    "Uniform",
    "differences",
    "load_experiment",
    "load_settings",
    "settings_fingerprint",
    "trial_experiment",
    "with_settings",
]
