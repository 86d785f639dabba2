"""Conservative Q-learning (Kumar et al. 2020) as an RLlib Algorithm that learns from a data set alone."""

import math

import torch
from torch import Tensor

from afrl_ray.algorithms.off_policy import OffPolicyAlgorithm, OffPolicyConfig
from afrl_ray.algorithms.sac import SoftActorCriticRule
from afrl_ray.algorithms.update_rule import Batch, minimize
from afrl_ray.config import CQLSettings
from afrl_ray.losses import cql, td3


class CQLRule(SoftActorCriticRule):
    """SAC's actor on critics that are pushed down where the data have no actions; at first the actor clones."""

    _settings: CQLSettings

    @staticmethod
    def noise_draws(settings: CQLSettings) -> int:
        """SAC's two, and those of the actions of the soft maximum."""
        return 2 + 3 * settings.num_actions

    def _update_critics(self, batch: Batch) -> dict[str, Tensor]:
        module, settings = self._module, self._settings
        with torch.no_grad():
            next_actions, _ = self._actor.sample(batch.next_observations, batch.noise[0])
            targets = td3.clipped_double_q_target(  # without entropy, as in the authors' code
                batch.rewards,
                batch.terminations,
                module.critic_values(module.target_critics, batch.next_observations, next_actions),
                settings.gamma,
            )
            sampled, log_densities = self._sampled_actions(batch)
        actions = torch.cat([sampled, batch.actions.unsqueeze(0)])  # (3 num_actions + 1, batch, A)
        observations = batch.observations.expand(len(actions), -1, -1)
        q_values = module.critic_values(module.critics, observations, actions)
        sampled_q_values, data_q_values = q_values[:, :-1], q_values[:, -1]
        bellman = td3.critic_loss(data_q_values, targets)
        conservative = cql.conservative_loss(cql.soft_maximum(sampled_q_values, log_densities), data_q_values)
        loss = bellman.loss + settings.min_q_weight * conservative.loss
        minimize(loss, self._optimizers["critics"])
        return {
            "critic_loss": bellman.loss.detach(),
            "conservative_gap": conservative.gaps.detach().mean(),
            "q_value_mean": data_q_values.detach()[0].mean(),
        }

    def _sampled_actions(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Uniform actions and those of the policy at s and at s', (3 num_actions, batch, A), and their log-densities.

        As in the authors' code the actions for s' are valued at s too.
        """
        random, current, following = batch.noise[2:].chunk(3)
        uniform = 2.0 * torch.special.ndtr(random) - 1.0  # of a normal number its distribution function is uniform
        random_actions = self._actor.action_center + self._actor.action_half_range * uniform
        random_log_densities = torch.full(random.shape[:-1], -random.shape[-1] * math.log(2.0), device=random.device)
        current_actions, current_log_densities = self._actor.sample(batch.observations, current)
        next_actions, next_log_densities = self._actor.sample(batch.next_observations, following)
        return (
            torch.cat([random_actions, current_actions, next_actions]),
            torch.cat([random_log_densities, current_log_densities, next_log_densities]),
        )

    def _actor_loss(self, batch: Batch, actions: Tensor, log_probs: Tensor, update_index: int) -> Tensor:
        if update_index > self._settings.cloning_updates:
            return super()._actor_loss(batch, actions, log_probs, update_index)
        log_likelihoods = self._actor.log_likelihood(batch.observations, batch.actions)
        return cql.cloning_loss(log_probs, log_likelihoods, self._temperature)


class CQLConfig(OffPolicyConfig):
    settings_class = CQLSettings
    rule_class = CQLRule
    learns_offline = True

    def __init__(self, algo_class: type | None = None) -> None:
        super().__init__(algo_class=algo_class or CQL)


class CQL(OffPolicyAlgorithm):
    @classmethod
    def get_default_config(cls) -> CQLConfig:
        return CQLConfig()
