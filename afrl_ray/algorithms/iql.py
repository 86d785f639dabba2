"""Implicit Q-learning (Kostrikov et al. 2021) as an RLlib Algorithm that learns from a data set alone."""

import torch
from torch import Tensor

from afrl_ray.algorithms.off_policy import OffPolicyAlgorithm, OffPolicyConfig
from afrl_ray.algorithms.rl_module import ActorCriticModule
from afrl_ray.algorithms.update_rule import Batch, Polyak, adam, minimize
from afrl_ray.config import IQLSettings
from afrl_ray.losses import iql, td3


class IQLRule:
    """V, then the actor, then the critics: no action is valued that the data do not hold."""

    def __init__(
        self, module: ActorCriticModule, settings: IQLSettings, optimizers: dict[str, torch.optim.Optimizer]
    ) -> None:
        self._module, self._settings, self._optimizers = module, settings, optimizers
        self._move_targets = Polyak(module.target_critics.parameters(), module.critics.parameters(), settings.tau)

    @staticmethod
    def optimizers(module: ActorCriticModule, settings: IQLSettings) -> dict[str, torch.optim.Optimizer]:
        return {
            "actor": adam(module.policy.actor.parameters(), settings.actor_learning_rate),
            "critics": adam(module.critics.parameters(), settings.critic_learning_rate),
            "state_value": adam(module.state_value.parameters(), settings.value_learning_rate),
        }

    @staticmethod
    def noise_draws(settings: IQLSettings) -> int:
        del settings
        return 0

    def update(self, batch: Batch, update_index: int) -> dict[str, Tensor]:
        del update_index
        module, settings = self._module, self._settings
        with torch.no_grad():
            target_q_values = module.critic_values(module.target_critics, batch.observations, batch.actions).amin(dim=0)
        value = iql.expectile_loss(target_q_values, module.state_value(batch.observations), settings.expectile)
        minimize(value.loss, self._optimizers["state_value"])
        with torch.no_grad():  # by the new V, as in the authors' code
            both = torch.stack([batch.observations, batch.next_observations])
            state_values, next_state_values = module.state_value(both)
        weights = iql.advantage_weights(
            target_q_values - state_values, settings.temperature, settings.max_advantage_weight
        )
        actor_loss = iql.actor_loss(weights, module.policy.actor.log_likelihood(batch.observations, batch.actions))
        minimize(actor_loss, self._optimizers["actor"])
        targets = iql.q_target(batch.rewards, batch.terminations, next_state_values, settings.gamma)
        q_values = module.critic_values(module.critics, batch.observations, batch.actions)
        critic = td3.critic_loss(q_values, targets)
        minimize(critic.loss, self._optimizers["critics"])
        self._move_targets()
        return {
            "critic_loss": critic.loss.detach(),
            "actor_loss": actor_loss.detach(),
            "state_value_loss": value.loss.detach(),
            "q_value_mean": q_values.detach()[0].mean(),
            "advantage_weight_mean": weights.mean(),
        }


class IQLConfig(OffPolicyConfig):
    settings_class = IQLSettings
    rule_class = IQLRule
    learns_offline = True
    has_state_value = True

    def __init__(self, algo_class: type | None = None) -> None:
        super().__init__(algo_class=algo_class or IQL)


class IQL(OffPolicyAlgorithm):
    @classmethod
    def get_default_config(cls) -> IQLConfig:
        return IQLConfig()
