"""TD3+BC (Fujimoto and Gu 2021) as an RLlib Algorithm that learns from a data set alone."""

from torch import Tensor

from afrl_ray.algorithms.off_policy import OffPolicyAlgorithm, OffPolicyConfig
from afrl_ray.algorithms.td3 import TwinDelayedRule
from afrl_ray.algorithms.update_rule import Batch
from afrl_ray.config import TD3BCSettings
from afrl_ray.losses import td3, td3_bc


class TD3BCRule(TwinDelayedRule):
    """TD3 with the behaviour-cloning objective."""

    _settings: TD3BCSettings

    def _actor_loss(self, q_values: Tensor, policy_actions: Tensor, batch: Batch) -> td3.ActorLoss:
        return td3_bc.actor_loss(q_values, policy_actions, batch.actions, self._settings.alpha)


class TD3BCConfig(OffPolicyConfig):
    settings_class = TD3BCSettings
    rule_class = TD3BCRule
    learns_offline = True

    def __init__(self, algo_class: type | None = None) -> None:
        super().__init__(algo_class=algo_class or TD3BC)


class TD3BC(OffPolicyAlgorithm):
    @classmethod
    def get_default_config(cls) -> TD3BCConfig:
        return TD3BCConfig()
