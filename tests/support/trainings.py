"""Small trainings of every algorithm on Hopper, and all that decides how they go on."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ray.rllib.core import DEFAULT_MODULE_ID

from afrl_ray.algorithms import CONFIGS, OffPolicyAlgorithm, OffPolicyConfig
from afrl_ray.config import EnvironmentSettings, FaultSettings
from afrl_ray.perturbations import ConstantSource, PerturbationSnapshot

ALGORITHMS: dict[str, type[OffPolicyConfig]] = {
    config.__name__.removesuffix("Config"): config for config in CONFIGS.values()
}
STEPS = 40  # per iteration
OFFLINE_ROWS = 200
MEAN, STD = np.linspace(-1, 1, 11, dtype=np.float32), np.linspace(0.5, 2, 11, dtype=np.float32)
Tensors = dict[str, torch.Tensor]


def make_config(name: str, *, seed: int = 0, gpus: float = 0.0, **environment: Any) -> OffPolicyConfig:
    config = ALGORITHMS[name]()
    small = {"hidden_sizes": (8, 8), "batch_size": 16, "critic_layer_norm": True}
    small |= {"cloning_updates": STEPS, "num_actions": 2} if name == "CQL" else {}
    return (
        config.simulation(EnvironmentSettings(**{"id": "Hopper-v4", "max_episode_steps": 15, **environment}))
        .training(
            settings=config.settings.model_copy(update=small),
            replay_capacity=300,  # the second iteration of an online algorithm goes over the end
            updates_per_round=STEPS,
            perturbation_source=ConstantSource(
                PerturbationSnapshot("random", q=0.5, fault=FaultSettings(magnitude=0.3), bank=None)
            ),
        )
        .env_runners(num_envs_per_env_runner=2, rollout_fragment_length=STEPS // 2)
        .learners(num_gpus_per_learner=gpus)
        .reporting(min_time_s_per_iteration=0, min_sample_timesteps_per_iteration=0)
        .debugging(seed=seed, log_level="ERROR")
    )


def build(name: str, **changes: Any) -> OffPolicyAlgorithm:
    """A fresh algorithm that has offline data and statistics, as every training here does."""
    algorithm = make_config(name, **changes).build_algo()
    algorithm.set_observation_statistics(MEAN, STD)
    algorithm.load_transitions(offline_columns())
    return algorithm


def offline_columns() -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    return {
        "observations": generator.normal(size=(OFFLINE_ROWS, 11)).astype(np.float32),
        "actions": generator.uniform(-1, 1, (OFFLINE_ROWS, 3)).astype(np.float32),
        "rewards": generator.normal(size=OFFLINE_ROWS).astype(np.float32),
        "next_observations": generator.normal(size=(OFFLINE_ROWS, 11)).astype(np.float32),
        "terminations": generator.random(OFFLINE_ROWS) < 0.1,
    }


def everything(algorithm: OffPolicyAlgorithm) -> Tensors:
    """All that decides how the training goes on: networks, statistics, optimizers, replay, generator."""
    learner = algorithm.learner_group._learner
    tensors = {name: tensor.clone() for name, tensor in algorithm.module_tensors().items()}
    for name, optimizer in learner.get_optimizers_for_module(DEFAULT_MODULE_ID):
        for parameter, values in optimizer.state_dict()["state"].items():
            tensors |= {f"{name}/{parameter}/{key}": torch.as_tensor(value).clone() for key, value in values.items()}
    tensors["replay"] = learner.replay._rows[: len(learner.replay)].clone()
    tensors["generator"] = learner._generator.get_state().clone()
    tensors["updates"] = torch.tensor(learner._num_updates)
    return tensors


def different(one: Tensors, other: Tensors) -> list[str]:
    """The names of what is not exactly equal."""
    assert one.keys() == other.keys()
    return [name for name in one if not torch.equal(one[name], other[name])]


@dataclass(frozen=True)
class Trained:
    """A training of two iterations, its checkpoint, and what two more iterations led to."""

    name: str
    algorithm: OffPolicyAlgorithm
    checkpoint: Path
    saved: Tensors
    result: dict[str, Any]
    uninterrupted: Tensors


def train(name: str, checkpoint: Path, gpus: float = 0.0) -> Iterator[Trained]:
    """What a fixture of that yields; the algorithm is there until it goes on."""
    algorithm = build(name, gpus=gpus)
    for _ in range(2):
        result = algorithm.train()
    algorithm.save_to_path(checkpoint)
    saved = everything(algorithm)
    for _ in range(2):
        algorithm.train()
    yield Trained(name, algorithm, checkpoint, saved, result, everything(algorithm))
    algorithm.stop()
