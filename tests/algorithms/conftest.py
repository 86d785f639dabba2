"""Tiny networks and batches for the tests of update rules: no Ray, no environment."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box

from afrl_ray.algorithms import CONFIGS
from afrl_ray.algorithms.rl_module import ActorCriticModule
from afrl_ray.algorithms.update_rule import Batch
from afrl_ray.config import OffPolicySettings

OBSERVATIONS, ACTIONS, ROWS = 4, 2, 16
LOW, HIGH = np.array([-2.0, 0.0], np.float32), np.array([2.0, 1.0], np.float32)
Tensors = dict[str, torch.Tensor]


@pytest.fixture
def make_rule() -> Callable[..., tuple[Any, ActorCriticModule]]:
    """(the rule of some settings, its module), weights drawn from seed 0."""

    def make(
        settings: OffPolicySettings, hidden_sizes: tuple[int, ...] = (8, 8), device: str = "cpu"
    ) -> tuple[Any, ActorCriticModule]:
        torch.manual_seed(0)
        config = CONFIGS[type(settings)]
        module = ActorCriticModule(
            observation_space=Box(-np.inf, np.inf, (OBSERVATIONS,), np.float32),
            action_space=Box(LOW, HIGH),
            model_config={
                "hidden_sizes": hidden_sizes,
                "num_critics": 2,
                "policy_average": getattr(settings, "policy_average_decay", 0.0) > 0,
                "policy_kind": settings.policy_kind,
                "state_value": config.has_state_value,
                "initial_temperature": getattr(settings, "initial_temperature", None),
            },
        ).to(device)
        return config.rule_class(module, settings, config.rule_class.optimizers(module, settings)), module

    return make


@pytest.fixture
def make_batch() -> Callable[..., Batch]:
    def make(settings: OffPolicySettings, seed: int = 0, **columns: torch.Tensor) -> Batch:
        generator = torch.Generator().manual_seed(seed)

        def normal(*shape: int) -> torch.Tensor:
            return torch.randn(shape, generator=generator)

        drawn = {
            "observations": normal(ROWS, OBSERVATIONS),
            "actions": normal(ROWS, ACTIONS).clamp(0, 1),
            "rewards": normal(ROWS),
            "next_observations": normal(ROWS, OBSERVATIONS),
            "terminations": (torch.rand(ROWS, generator=generator) < 0.3).float(),
            "noise": normal(CONFIGS[type(settings)].rule_class.noise_draws(settings), ROWS, ACTIONS),
        }
        return Batch(**{**drawn, **columns})

    return make


@pytest.fixture
def changed() -> Callable[[Tensors, ActorCriticModule], set[str]]:
    """The networks, by their first name, whose tensors are no longer those of an earlier snapshot."""

    def compare(before: Tensors, module: ActorCriticModule) -> set[str]:
        after = module.state_dict()
        different = (name for name in before if not torch.equal(before[name], after[name]))
        return {name.removeprefix("policy.").split(".")[0] for name in different}

    return compare


@pytest.fixture
def snapshot() -> Callable[[ActorCriticModule], Tensors]:
    return lambda module: {name: tensor.clone() for name, tensor in module.state_dict().items()}
