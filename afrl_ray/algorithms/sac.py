"""Soft actor-critic (Haarnoja et al. 2018) as an RLlib Algorithm: from scratch, or from an offline checkpoint."""

import torch
from torch import Tensor

from afrl_ray.algorithms.off_policy import OffPolicyAlgorithm, OffPolicyConfig
from afrl_ray.algorithms.rl_module import ActorCriticModule
from afrl_ray.algorithms.update_rule import Batch, Polyak, adam, minimize, policy_average
from afrl_ray.config import CQLSettings, SACSettings
from afrl_ray.losses import sac, td3


class SoftActorCriticRule:
    """The part that SAC and CQL share: everything but the critics' objective."""

    def __init__(
        self,
        module: ActorCriticModule,
        settings: SACSettings | CQLSettings,
        optimizers: dict[str, torch.optim.Optimizer],
    ) -> None:
        self._module = module
        self._settings = settings
        self._actor, self._optimizers = module.policy.actor, optimizers
        entropy = settings.target_entropy
        self._target_entropy = -float(module.policy.action_size) if entropy is None else entropy
        self._move_targets = Polyak(module.target_critics.parameters(), module.critics.parameters(), settings.tau)

    @staticmethod
    def optimizers(module: ActorCriticModule, settings: SACSettings | CQLSettings) -> dict[str, torch.optim.Optimizer]:
        return {
            "actor": adam(module.policy.actor.parameters(), settings.actor_learning_rate),
            "critics": adam(module.critics.parameters(), settings.critic_learning_rate),
            "temperature": adam([module.log_temperature], settings.temperature_learning_rate),
        }

    @staticmethod
    def noise_draws(settings: SACSettings | CQLSettings) -> int:
        """One for the next actions of the target, one for the actor's own."""
        del settings
        return 2

    def update(self, batch: Batch, update_index: int) -> dict[str, Tensor]:
        metrics = self._update_critics(batch)
        if update_index > self._critic_only_updates:
            metrics |= self._update_actor(batch, update_index)
        self._move_targets()
        return metrics

    @property
    def _critic_only_updates(self) -> int:
        return 0

    @property
    def _temperature(self) -> Tensor:
        return self._module.log_temperature.detach().exp()

    def _update_critics(self, batch: Batch) -> dict[str, Tensor]:
        raise NotImplementedError(f"{type(self).__name__} has no critic objective")

    def _update_actor(self, batch: Batch, update_index: int) -> dict[str, Tensor]:
        actions, log_probs = self._actor.sample(batch.observations, batch.noise[1])
        loss = self._actor_loss(batch, actions, log_probs, update_index)
        minimize(loss, self._optimizers["actor"])
        minimize(
            sac.temperature_loss(self._module.log_temperature, log_probs, self._target_entropy),
            self._optimizers["temperature"],
        )
        return {"actor_loss": loss.detach(), "entropy": -log_probs.detach().mean(), "temperature": self._temperature}

    def _actor_loss(self, batch: Batch, actions: Tensor, log_probs: Tensor, update_index: int) -> Tensor:
        del update_index
        q_values = self._module.critic_values(self._module.critics, batch.observations, actions)
        return sac.actor_loss(q_values, log_probs, self._temperature).loss


class SACRule(SoftActorCriticRule):
    """Soft values, with the hand-over options of fine-tuning."""

    _settings: SACSettings

    def __init__(
        self, module: ActorCriticModule, settings: SACSettings, optimizers: dict[str, torch.optim.Optimizer]
    ) -> None:
        super().__init__(module, settings, optimizers)
        self._move_average = policy_average(module, settings.policy_average_decay)

    @property
    def _critic_only_updates(self) -> int:
        return self._settings.critic_only_updates

    def _update_critics(self, batch: Batch) -> dict[str, Tensor]:
        module = self._module
        with torch.no_grad():
            next_actions, next_log_probs = self._actor.sample(batch.next_observations, batch.noise[0])
            targets = sac.soft_q_target(
                batch.rewards,
                batch.terminations,
                module.critic_values(module.target_critics, batch.next_observations, next_actions),
                next_log_probs,
                self._temperature,
                self._settings.gamma,
            )
        q_values = module.critic_values(module.critics, batch.observations, batch.actions)
        result = td3.critic_loss(q_values, targets)
        minimize(result.loss, self._optimizers["critics"])
        return {"critic_loss": result.loss.detach(), "q_value_mean": q_values.detach()[0].mean()}

    def _update_actor(self, batch: Batch, update_index: int) -> dict[str, Tensor]:
        metrics = super()._update_actor(batch, update_index)
        self._move_average()
        return metrics


class SACConfig(OffPolicyConfig):
    settings_class = SACSettings
    rule_class = SACRule

    def __init__(self, algo_class: type | None = None) -> None:
        super().__init__(algo_class=algo_class or SAC)


class SAC(OffPolicyAlgorithm):
    @classmethod
    def get_default_config(cls) -> SACConfig:
        return SACConfig()
