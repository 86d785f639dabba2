"""Every algorithm on a GPU: it learns there what it learns on a processor, and its checkpoints go either way."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.utils.metrics import LEARNER_RESULTS
from torch.testing import assert_close

from afrl_ray.algorithms import CONFIGS, load_module
from afrl_ray.algorithms.precision import has_bfloat16_instructions, matrix_product_precision
from afrl_ray.algorithms.update_rule import Batch
from afrl_ray.config import FaultSettings, OffPolicySettings
from afrl_ray.perturbations import ConstantSource, PerturbationSnapshot
from gpu import NEEDS_GPU
from trainings import (
    ALGORITHMS,
    OFFLINE_ROWS,
    STEPS,
    Tensors,
    Trained,
    build,
    different,
    everything,
    make_config,
    offline_columns,
    train,
)

pytestmark = [*NEEDS_GPU, pytest.mark.slow, pytest.mark.timeout(600)]

UPDATES = 20
CUDA = torch.device("cuda")


def on_gpu(batch: Batch) -> Batch:
    return Batch(**{name: tensor.to(CUDA) for name, tensor in asdict(batch).items()})


def on_cpu(tensors: Tensors) -> Tensors:
    return {name: tensor.cpu() for name, tensor in tensors.items()}


@pytest.fixture(params=CONFIGS)
def settings(request: pytest.FixtureRequest) -> OffPolicySettings:
    small = {"num_actions": 2, "cloning_updates": UPDATES // 2, "critic_layer_norm": True}
    known = {name: value for name, value in small.items() if name in request.param.model_fields}
    return request.param(**known)  # type: ignore[no-any-return]


# ---- one update ----------------------------------------------------------------------------------------------------


def test_the_same_batches_lead_to_the_same_networks_as_on_the_processor(
    settings: OffPolicySettings, make_rule: Any, make_batch: Any
) -> None:
    rule, module = make_rule(settings, (32, 32))
    gpu_rule, gpu_module = make_rule(settings, (32, 32), "cuda")
    initial = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    for index in range(1, UPDATES + 1):
        batch = make_batch(settings, seed=index)
        expected, losses = rule.update(batch, index), gpu_rule.update(on_gpu(batch), index)
        assert all(value.is_cuda for value in losses.values())
        assert_close(on_cpu(losses), expected, rtol=1e-3, atol=1e-4)
    after, gpu_after = module.state_dict(), on_cpu(gpu_module.state_dict())
    for name, before in initial.items():
        # Adam's steps are 3e-4 long, whatever rounding does to a gradient that is nearly nothing
        assert_close(
            gpu_after[name], after[name], rtol=1e-3, atol=2e-4, msg=lambda words, name=name: f"{name}: {words}"
        )
        if name.endswith("0.weight"):
            assert (after[name] - before).abs().max() > 1e-3 or "target" in name or "average" in name


def test_bfloat16_products_give_close_losses(settings: OffPolicySettings, make_rule: Any, make_batch: Any) -> None:
    assert has_bfloat16_instructions(CUDA)
    losses = {}
    for mode in ("off", "on", "auto"):
        rule, module = make_rule(settings, (64, 64), "cuda")
        with matrix_product_precision(mode, CUDA):  # type: ignore[arg-type]
            metrics = rule.update(on_gpu(make_batch(settings)), 2)
        assert all(parameter.dtype == torch.float32 for parameter in module.parameters())
        losses[mode] = {name: value.item() for name, value in metrics.items()}
    assert losses["on"] == pytest.approx(losses["off"], rel=0.02, abs=0.01)
    assert losses["on"] != losses["off"]
    assert losses["auto"] == losses["on"]


def test_an_update_never_waits_for_the_gpu(settings: OffPolicySettings, make_rule: Any, make_batch: Any) -> None:
    """What is logged is fetched once in hundreds of updates."""
    rule, _ = make_rule(settings, (32, 32), "cuda")
    batch = on_gpu(make_batch(settings))
    rule.update(batch, 1)
    torch.cuda.set_sync_debug_mode("error")
    try:
        rule.update(batch, 2)
    finally:
        torch.cuda.set_sync_debug_mode("default")


# ---- trainings and their checkpoints -------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=ALGORITHMS)
def trained(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, ray_session: None
) -> Iterator[Trained]:
    del ray_session
    yield from train(request.param, tmp_path_factory.mktemp(request.param), gpus=0.5)


def test_all_that_learns_is_on_the_gpu_and_all_that_acts_is_not(trained: Trained) -> None:
    learner = trained.algorithm.learner_group._learner
    optimizers = [optimizer for _, optimizer in learner.get_optimizers_for_module(DEFAULT_MODULE_ID)]
    held = [tensor for one in optimizers for state in one.state.values() for tensor in state.values()]
    assert held
    assert learner._generator.device.type == "cuda"
    for tensor in (*learner.actor_critic.state_dict().values(), *held, learner.replay._rows):
        assert tensor.is_cuda
    policies = [trained.algorithm.evaluation_policy()]
    if trained.algorithm.env_runner is not None:
        policies.append(trained.algorithm.env_runner.module.policy)
    assert not any(tensor.is_cuda for policy in policies for tensor in policy.state_dict().values())


def test_it_trains(trained: Trained) -> None:
    losses = trained.result[LEARNER_RESULTS][DEFAULT_MODULE_ID]
    assert all(np.isfinite(losses[name]) for name in ("critic_loss", "actor_loss", "q_value_mean"))
    assert trained.saved["updates"] == 2 * STEPS
    moved = different(trained.saved, trained.uninterrupted)
    assert {"policy.actor.layers.0.weight", "critics.0.layers.0.weight", "generator"} <= set(moved)
    rows = trained.saved["replay"][:OFFLINE_ROWS].cpu().numpy()
    np.testing.assert_array_equal(rows, trained.algorithm.learner_group._learner.layout.pack(offline_columns()))


def test_env_runners_act_with_what_the_gpu_has_learned(trained: Trained) -> None:
    if trained.algorithm.config.learns_offline:
        pytest.skip("an offline algorithm sends nothing to env runners")
    learned = trained.algorithm.learner_group._learner.actor_critic.policy
    assert trained.algorithm.env_runner.module.policy.fingerprint() == learned.fingerprint()


def test_restored_on_the_gpu_it_goes_on_as_if_never_interrupted(trained: Trained) -> None:
    restored = make_config(trained.name, gpus=0.5).build_algo()
    restored.restore_from_path(str(trained.checkpoint))
    assert different(everything(restored), trained.saved) == []
    for _ in range(2):
        restored.train()
    assert different(everything(restored), trained.uninterrupted) == []
    restored.stop()


def test_restored_on_the_processor_it_goes_on_from_the_same_state(trained: Trained) -> None:
    ends = []
    for _ in range(2):
        restored = make_config(trained.name).build_algo()
        restored.restore_from_path(str(trained.checkpoint))
        state = everything(restored)
        assert [name for name in different(state, on_cpu(trained.saved)) if name != "generator"] == []
        result = restored.train()[LEARNER_RESULTS][DEFAULT_MODULE_ID]
        assert np.isfinite(result["critic_loss"])
        ends.append(everything(restored))
        assert ends[-1]["updates"] == 3 * STEPS
        restored.stop()
    assert different(*ends) == []


def test_a_processors_checkpoint_goes_on_on_the_gpu(trained: Trained, tmp_path: Path) -> None:
    began = build(trained.name)
    began.train()
    began.save_to_path(tmp_path)
    saved = everything(began)
    began.stop()
    restored = make_config(trained.name, gpus=0.5).build_algo()
    restored.restore_from_path(str(tmp_path))
    names = different(on_cpu(everything(restored)), saved)
    assert names == ["generator"]
    restored.train()
    assert everything(restored)["updates"] == 2 * STEPS
    restored.stop()


def test_the_networks_in_a_checkpoint_are_read_without_a_gpu(trained: Trained) -> None:
    tensors = load_module(trained.checkpoint).state_dict()
    assert not any(tensor.is_cuda for tensor in tensors.values())
    assert different(dict(tensors), {name: trained.saved[name].cpu() for name in tensors}) == []


def test_pgd_descends_on_the_critic_that_the_gpu_trains(ray_session: None) -> None:
    del ray_session
    pgd = PerturbationSnapshot("pgd", q=1.0, fault=FaultSettings(magnitude=0.3), bank=None)
    config = make_config("TD3", gpus=0.5).training(perturbation_source=ConstantSource(pgd), acting_critics=True)
    algorithm = config.build_algo()
    for _ in range(2):
        algorithm.train()
    acting = algorithm.env_runner.module.critics.state_dict()
    learned = algorithm.learner_group._learner.actor_critic.critics.state_dict()
    assert different(dict(acting), on_cpu(learned)) == []
    algorithm.stop()
