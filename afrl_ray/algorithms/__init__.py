"""RLlib Algorithms on the new API stack, at bare-torch speed."""

from afrl_ray.algorithms.handover import HandoverError, hand_over, load_module, load_policy
from afrl_ray.algorithms.off_policy import OffPolicyAlgorithm, OffPolicyConfig
from afrl_ray.algorithms.td3 import TD3, TD3Config
from afrl_ray.algorithms.td3_bc import TD3BC, TD3BCConfig

__all__ = [
    "TD3",
    "TD3BC",
    "HandoverError",
    "OffPolicyAlgorithm",
    "OffPolicyConfig",
    "TD3BCConfig",
    "TD3Config",
    "hand_over",
    "load_module",
    "load_policy",
]
