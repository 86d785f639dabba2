"""Which Algorithm each kind of settings is for."""

from collections.abc import Mapping

from afrl_ray.algorithms.cql import CQLConfig
from afrl_ray.algorithms.iql import IQLConfig
from afrl_ray.algorithms.off_policy import OffPolicyConfig
from afrl_ray.algorithms.sac import SACConfig
from afrl_ray.algorithms.td3 import TD3Config
from afrl_ray.algorithms.td3_bc import TD3BCConfig
from afrl_ray.config import OffPolicySettings

CONFIGS: Mapping[type[OffPolicySettings], type[OffPolicyConfig]] = {
    config.settings_class: config for config in (TD3Config, SACConfig, TD3BCConfig, IQLConfig, CQLConfig)
}


def algorithm_config(settings: OffPolicySettings) -> OffPolicyConfig:
    """The RLlib configuration of the algorithm that `settings` are for, with these settings."""
    return CONFIGS[type(settings)]().training(settings=settings)
