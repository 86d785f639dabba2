"""TD3 (Fujimoto et al. 2018) as an RLlib Algorithm: from scratch, or from an offline checkpoint."""

import torch
from torch import Tensor

from afrl_ray.algorithms.off_policy import OffPolicyAlgorithm, OffPolicyConfig
from afrl_ray.algorithms.rl_module import ActorCriticModule
from afrl_ray.algorithms.update_rule import Batch, Polyak, adam, minimize, policy_average
from afrl_ray.config import TD3BCSettings, TD3Settings
from afrl_ray.losses import td3, td3_bc


class TwinDelayedRule:
    """The part that TD3 and TD3+BC share: everything but the actor's objective."""

    def __init__(
        self,
        module: ActorCriticModule,
        settings: TD3Settings | TD3BCSettings,
        optimizers: dict[str, torch.optim.Optimizer],
    ) -> None:
        self._module = module
        self._settings = settings
        self._actor, self._optimizers = module.policy.actor, optimizers
        half_range, center = self._actor.action_half_range, self._actor.action_center
        self._low, self._high = center - half_range, center + half_range
        self._noise_scale = settings.target_noise * half_range
        self._noise_clip = settings.target_noise_clip * half_range
        self._move_targets = Polyak(
            [*module.target_actor.parameters(), *module.target_critics.parameters()],
            [*self._actor.parameters(), *module.critics.parameters()],
            settings.tau,
        )

    @staticmethod
    def optimizers(
        module: ActorCriticModule, settings: TD3Settings | TD3BCSettings
    ) -> dict[str, torch.optim.Optimizer]:
        return {
            "actor": adam(module.policy.actor.parameters(), settings.actor_learning_rate),
            "critics": adam(module.critics.parameters(), settings.critic_learning_rate),
        }

    @staticmethod
    def noise_draws(settings: TD3Settings | TD3BCSettings) -> int:
        del settings
        return 1

    def update(self, batch: Batch, update_index: int) -> dict[str, Tensor]:
        critic = self._update_critics(batch)
        metrics = {"critic_loss": critic.loss.detach(), "q_value_mean": critic.q_values.detach()[0].mean()}
        if update_index % self._settings.policy_delay == 0:
            if update_index > self._critic_only_updates:
                metrics["actor_loss"] = self._update_actor(batch)
            self._move_targets()
        return metrics

    @property
    def _critic_only_updates(self) -> int:
        return 0

    def _update_critics(self, batch: Batch) -> td3.CriticLoss:
        module = self._module
        with torch.no_grad():
            next_actions = td3.smoothed_actions(
                module.target_actor(batch.next_observations),
                batch.noise[0] * self._noise_scale,
                self._noise_clip,
                self._low,
                self._high,
            )
            next_q_values = module.critic_values(module.target_critics, batch.next_observations, next_actions)
            targets = td3.clipped_double_q_target(
                batch.rewards, batch.terminations, next_q_values, self._settings.gamma
            )
        q_values = module.critic_values(module.critics, batch.observations, batch.actions)
        result = td3.critic_loss(q_values, targets)
        minimize(result.loss, self._optimizers["critics"])
        return result

    def _update_actor(self, batch: Batch) -> Tensor:
        actions = self._actor(batch.observations)
        result = self._actor_loss(self._module.critics[0](batch.observations, actions), actions, batch)
        minimize(result.loss, self._optimizers["actor"])
        return result.loss.detach()

    def _actor_loss(self, q_values: Tensor, policy_actions: Tensor, batch: Batch) -> td3.ActorLoss:
        raise NotImplementedError(f"{type(self).__name__} has no actor objective")


class TD3Rule(TwinDelayedRule):
    """The plain objective, or TD3+BC's where its term is kept, with the hand-over options of fine-tuning."""

    _settings: TD3Settings

    def __init__(
        self, module: ActorCriticModule, settings: TD3Settings, optimizers: dict[str, torch.optim.Optimizer]
    ) -> None:
        super().__init__(module, settings, optimizers)
        self._move_average = policy_average(module, settings.policy_average_decay)

    @property
    def _critic_only_updates(self) -> int:
        return self._settings.critic_only_updates

    def _update_actor(self, batch: Batch) -> Tensor:
        loss = super()._update_actor(batch)
        self._move_average()
        return loss

    def _actor_loss(self, q_values: Tensor, policy_actions: Tensor, batch: Batch) -> td3.ActorLoss:
        if self._settings.bc_alpha is not None:
            return td3_bc.actor_loss(q_values, policy_actions, batch.actions, self._settings.bc_alpha)
        return td3.actor_loss(q_values, normalize=self._settings.normalize_actor_loss)


class TD3Config(OffPolicyConfig):
    settings_class = TD3Settings
    rule_class = TD3Rule

    def __init__(self, algo_class: type | None = None) -> None:
        super().__init__(algo_class=algo_class or TD3)


class TD3(OffPolicyAlgorithm):
    @classmethod
    def get_default_config(cls) -> TD3Config:
        return TD3Config()
