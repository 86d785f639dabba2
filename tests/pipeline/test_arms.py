"""Real trials of a few steps: what each arm starts from."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box

from afrl_ray.algorithms.rl_module import ActorCriticModule
from afrl_ray.attacks import AttackBank, BankClient
from afrl_ray.config import ExperimentSettings, FaultSettings
from afrl_ray.config.loading import with_settings
from afrl_ray.datasets import Transitions
from afrl_ray.pipeline.runs.finetuning import FineTuning, Inputs

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600), pytest.mark.usefixtures("ray_session")]

ROWS, STEPS, RANDOM_STEPS = 60, 200, 100
SETTINGS = {
    "environment.max_episode_steps": 10,
    "finetune.steps": STEPS,
    "finetune.evaluation_interval": STEPS,
    "finetune.checkpoint_interval": STEPS,
    "finetune.validation_episodes": 1,
    "finetune.random_steps": RANDOM_STEPS,
    "finetune.offline_ratio": 0.5,
    "finetune.algorithm.batch_size": 8,
    **{f"{phase}.algorithm.hidden_sizes": (8, 8) for phase in ("pretrain", "finetune")},
}
IQL_TO_SAC = {"pretrain.algorithm.type": "iql", "finetune.algorithm.type": "sac"}
IQL_PARTS = {"policy_kind": "gaussian", "state_value": True}
MEAN = np.linspace(-1, 1, 11, dtype=np.float32)
STD = np.linspace(0.5, 1, 11, dtype=np.float32)


def pretrained_module(**parts: Any) -> ActorCriticModule:
    torch.manual_seed(1)
    module = ActorCriticModule(
        observation_space=Box(-np.inf, np.inf, (11,), np.float32),
        action_space=Box(-1.0, 1.0, (3,), np.float32),
        model_config={"hidden_sizes": (8, 8), "num_critics": 2, "policy_average": False, **parts},
    )
    module.policy.normalizer.set_statistics(MEAN, STD)
    return module


def offline_rows() -> Transitions:
    generator = np.random.default_rng(0)
    return Transitions(
        observations=generator.normal(size=(ROWS, 11)).astype(np.float32),
        actions=np.full((ROWS, 3), 0.125, np.float32),
        rewards=np.zeros(ROWS, np.float32),
        next_observations=generator.normal(size=(ROWS, 11)).astype(np.float32),
        terminations=np.zeros(ROWS, np.bool_),
        truncations=np.zeros(ROWS, np.bool_),
    )


@contextmanager
def running_trial(module: ActorCriticModule, changes: dict[str, Any]) -> Iterator[FineTuning]:
    bank = AttackBank(
        deltas=np.array([[0.3, -0.3, 0.1]], np.float32),
        fitness=np.zeros(1),
        environment_steps=np.ones(1, np.int64),
        seeds=np.zeros(1, np.int64),
        fault=FaultSettings(magnitude=0.3),
        environment="Hopper-v4",
        policy_hash="abc",
    )
    client = BankClient("arms-test", bank)
    critic = module.critic_gradients()
    assert critic is not None
    inputs = Inputs(offline_rows(), dict(module.state_dict()), bank, client, critic)
    trial = FineTuning(with_settings(ExperimentSettings(), {**SETTINGS, **changes}), inputs, "trial")
    yield trial
    trial.stop()
    client.kill()


def stored_actions(trial: FineTuning) -> np.ndarray:
    learner = trial._training.algorithm.learner_group._learner
    _, actions, *_ = learner.layout.split(learner.replay._rows[: len(learner.replay)])
    return actions.numpy()  # type: ignore[no-any-return]


@pytest.mark.parametrize(("changes", "parts"), [({}, {}), (IQL_TO_SAC, IQL_PARTS)], ids=["TD3BC-TD3", "IQL-SAC"])
def test_a_pretrained_arm_goes_on_from_networks_statistics_and_offline_rows(
    changes: dict[str, Any], parts: dict[str, Any]
) -> None:
    module = pretrained_module(**parts)
    with running_trial(module, changes) as trial:
        assert trial._training.algorithm.evaluation_policy().fingerprint() == module.policy.fingerprint()
        results = [trial.step(), trial.step()]
        actions = stored_actions(trial)
        updates = trial._training.algorithm.learner_group._learner._num_updates
    assert [result["env_steps"] for result in results] == [0, STEPS]
    assert np.isfinite(results[1]["learner"]["critic_loss"])
    assert (actions[: ROWS // 2] == 0.125).all()
    assert len(actions) == ROWS // 2 + STEPS
    assert updates == STEPS


@pytest.mark.parametrize("algorithm", ["td3", "sac"])
def test_an_arm_from_scratch_has_nothing_of_the_offline_phase_and_begins_at_random(algorithm: str) -> None:
    module = pretrained_module()
    with running_trial(module, {"finetune.start": "scratch", "finetune.algorithm.type": algorithm}) as trial:
        policy = trial._training.algorithm.evaluation_policy()
        noise = trial._source.snapshot().observation_std
        results = [trial.step(), trial.step()]
        actions = stored_actions(trial)
        updates = trial._training.algorithm.learner_group._learner._num_updates
    assert policy.fingerprint() != module.policy.fingerprint()
    assert (policy.normalizer.mean == 0).all()
    assert (policy.normalizer.std == 1).all()
    np.testing.assert_array_equal(noise, STD)  # what it suffers is that of the pretrained policy all the same
    assert results[0]["env_steps"] == 0
    assert results[0]["score_mean"] < 5  # an untrained policy's
    assert len(actions) == STEPS
    assert updates == STEPS - RANDOM_STEPS
    counts, _ = np.histogram(actions[:RANDOM_STEPS], bins=4, range=(-1, 1))
    assert counts.min() > 0.15 * actions[:RANDOM_STEPS].size  # uniform over the action range
