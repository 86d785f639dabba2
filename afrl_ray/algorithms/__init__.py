"""RLlib Algorithms on the new API stack, at bare-torch speed."""

from afrl_ray.algorithms.cql import CQL, CQLConfig
from afrl_ray.algorithms.handover import HandoverError, hand_over, load_module, load_policy
from afrl_ray.algorithms.iql import IQL, IQLConfig
from afrl_ray.algorithms.off_policy import OffPolicyAlgorithm, OffPolicyConfig
from afrl_ray.algorithms.registry import CONFIGS, algorithm_config
from afrl_ray.algorithms.replay import complete_replay
from afrl_ray.algorithms.replay_log import ReplayLog
from afrl_ray.algorithms.sac import SAC, SACConfig
from afrl_ray.algorithms.td3 import TD3, TD3Config
from afrl_ray.algorithms.td3_bc import TD3BC, TD3BCConfig

__all__ = [
    "CONFIGS",
    "CQL",
    "IQL",
    "SAC",
    "TD3",
    "TD3BC",
    "CQLConfig",
    "HandoverError",
    "IQLConfig",
    "OffPolicyAlgorithm",
    "OffPolicyConfig",
    "ReplayLog",
    "SACConfig",
    "TD3BCConfig",
    "TD3Config",
    "algorithm_config",
    "complete_replay",
    "hand_over",
    "load_module",
    "load_policy",
]
