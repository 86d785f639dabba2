"""The networks of an actor-critic as an RLModule: what travels inside every checkpoint."""

import copy
import math
from functools import partial
from typing import Any

import torch
from ray.rllib.core.columns import Columns
from ray.rllib.core.rl_module.apis import InferenceOnlyAPI
from ray.rllib.core.rl_module.torch.torch_rl_module import TorchRLModule
from torch import Tensor, nn

from afrl_ray.networks import Critic, CriticGradients, Critics, Policy, StateValue, make_critics


class ActorCriticModule(TorchRLModule, InferenceOnlyAPI):  # type: ignore[misc]
    """Normaliser and actor (`policy`), critics, their targets, and what else the algorithm needs.

    `model_config`: hidden_sizes, num_critics, critic_layer_norm; policy_average, whether to keep `average_actor`, a
    slow average; acting_critics, whether env runners have the critics too; policy_kind, deterministic when not given,
    and then there is a `target_actor`; state_value, whether there is one; initial_temperature of the entropy, and no
    temperature when not given.
    """

    def setup(self) -> None:
        observation_size = self.observation_space.shape[0]
        hidden_sizes = self.model_config["hidden_sizes"]
        kind = self.model_config.get("policy_kind", "deterministic")
        self.policy = Policy(observation_size, self.action_space.low, self.action_space.high, hidden_sizes, kind)
        if not self.inference_only or self.model_config.get("acting_critics", False):
            self.critics = make_critics(
                self.model_config["num_critics"],
                partial(
                    Critic,
                    observation_size,
                    self.policy.action_size,
                    hidden_sizes,
                    layer_norm=self.model_config.get("critic_layer_norm", False),
                    float32_output=kind == "gaussian",
                ),
            )
        if self.inference_only:
            return
        if kind == "deterministic":
            self.target_actor = copy.deepcopy(self.policy.actor).requires_grad_(False)
        self.target_critics = copy.deepcopy(self.critics).requires_grad_(False)
        if self.model_config.get("state_value"):
            self.state_value = StateValue(observation_size, hidden_sizes)
        if (temperature := self.model_config.get("initial_temperature")) is not None:
            self.log_temperature = nn.Parameter(torch.tensor(math.log(temperature)))
        if self.model_config["policy_average"]:
            self.average_actor = copy.deepcopy(self.policy.actor).requires_grad_(False)

    def get_non_inference_attributes(self) -> list[str]:
        attributes = ["target_actor", "target_critics", "average_actor", "state_value", "log_temperature"]
        return attributes if self.model_config.get("acting_critics", False) else ["critics", *attributes]

    def critic_gradients(self) -> CriticGradients | None:
        """How Q_1(s, a) changes with a; None where there are no critics."""
        return CriticGradients(self.policy.normalizer, self.critics[0]) if hasattr(self, "critics") else None

    @property
    def keeps_average(self) -> bool:
        return hasattr(self, "average_actor")

    def evaluation_policy(self) -> Policy:
        """A copy of the policy to measure and to ship: the slow average where one is kept, else the actor itself."""
        policy = copy.deepcopy(self.policy).cpu().requires_grad_(False).eval()
        if self.keeps_average:
            policy.actor.load_state_dict(self.average_actor.state_dict())
        return policy

    def critic_values(self, critics: Critics, observations: Tensor, actions: Tensor) -> Tensor:
        """Values (num_critics, ...) of normalised observations (..., O) and actions (..., A)."""
        return critics(observations, actions)  # type: ignore[no-any-return]

    def _forward(self, batch: dict[str, Any], **_: Any) -> dict[str, Any]:
        return {Columns.ACTIONS: self.policy(batch[Columns.OBS])}
