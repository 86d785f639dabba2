from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box

from afrl_ray.algorithms import (
    HandoverError,
    OffPolicyAlgorithm,
    algorithm_config,
    hand_over,
    load_module,
    load_policy,
)
from afrl_ray.algorithms.rl_module import ActorCriticModule
from afrl_ray.config import CQLSettings, IQLSettings, OffPolicySettings, SACSettings, TD3BCSettings, TD3Settings
from afrl_ray.networks import Policy, PolicyFileError, save_policy_file

Tensors = dict[str, torch.Tensor]
MEAN, STD = np.linspace(-1, 1, 11, dtype=np.float32), np.linspace(0.5, 2, 11, dtype=np.float32)


def make_module(
    hidden_sizes: tuple[int, ...] = (8, 8),
    *,
    seed: int = 0,
    average: bool = False,
    num_critics: int = 2,
    **others: Any,
) -> ActorCriticModule:
    """Networks for Hopper's sizes whose targets and average differ from what they follow."""
    torch.manual_seed(seed)
    module = ActorCriticModule(
        observation_space=Box(-np.inf, np.inf, (11,), np.float32),
        action_space=Box(-1.0, 1.0, (3,), np.float32),
        model_config={"hidden_sizes": hidden_sizes, "num_critics": num_critics, "policy_average": average, **others},
    )
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn_like(parameter))
    module.policy.normalizer.set_statistics(MEAN, STD)
    return module


class Receiver:
    """Stands for an algorithm: it has networks, and takes others."""

    def __init__(self, module: ActorCriticModule) -> None:
        self.module = module

    def module_tensors(self) -> Tensors:
        return self.module.state_dict()

    def load_module_tensors(self, tensors: Tensors) -> None:
        self.module.load_state_dict(tensors)


def give(source: ActorCriticModule | Tensors, target: ActorCriticModule) -> Tensors:
    """The target's tensors after the hand-over."""
    tensors = source.state_dict() if isinstance(source, ActorCriticModule) else source
    hand_over(tensors, Receiver(target))  # type: ignore[arg-type]
    return dict(target.state_dict())


def assert_equal(one: Tensors, other: Tensors) -> None:
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_every_tensor_is_handed_over() -> None:
    source = make_module()
    assert_equal(give(source, make_module(seed=1)), dict(source.state_dict()))


def test_what_was_handed_over_is_a_copy() -> None:
    source, target = make_module(), make_module(seed=1)
    given = {name: tensor.clone() for name, tensor in give(source, target).items()}
    with torch.no_grad():
        for parameter in source.parameters():
            parameter.zero_()
    assert_equal(dict(target.state_dict()), given)


def test_an_average_that_the_source_lacks_starts_at_the_actor() -> None:
    source = make_module()
    tensors = give(source, make_module(seed=1, average=True))
    actor = source.policy.actor.state_dict()
    assert_equal({name: tensors[f"average_actor.{name}"] for name in actor}, dict(actor))
    assert_equal({name: tensor for name, tensor in tensors.items() if "average" not in name}, dict(source.state_dict()))


def test_an_average_that_the_source_has_goes_on() -> None:
    source = make_module(average=True)
    assert_equal(give(source, make_module(seed=1, average=True)), dict(source.state_dict()))


def test_an_average_that_the_target_does_not_keep_is_left_behind() -> None:
    source = make_module(average=True)
    tensors = give(source, make_module(seed=1))
    assert_equal(tensors, {name: tensor for name, tensor in source.state_dict().items() if "average" not in name})


@pytest.mark.parametrize("average", [False, True])
@pytest.mark.parametrize("hidden_sizes", [(8, 16), (16, 8), (8,), (8, 8, 8)])
def test_other_hidden_sizes_are_refused_and_nothing_is_changed(hidden_sizes: tuple[int, ...], average: bool) -> None:
    target = make_module(hidden_sizes, seed=1, average=average)
    before = {name: tensor.clone() for name, tensor in target.state_dict().items()}
    with pytest.raises(HandoverError, match=r"layers\.\d\.(weight|bias)"):
        give(make_module(), target)
    assert_equal(dict(target.state_dict()), before)


def test_an_error_about_shapes_says_both_and_what_to_do() -> None:
    with pytest.raises(HandoverError) as caught:
        give(make_module(), make_module((8, 16)))
    assert "policy.actor.layers.2.weight has shape (8, 8) in the checkpoint, (16, 8) in Receiver" in str(caught.value)
    assert "use the same hidden_sizes" in str(caught.value)


def test_a_missing_tensor_is_named() -> None:
    tensors = dict(make_module().state_dict())
    del tensors["critics.1.layers.2.bias"]
    with pytest.raises(HandoverError, match=r"lacks critics\.1\.layers\.2\.bias, which Receiver has"):
        give(tensors, make_module())


def test_a_tensor_too_many_is_named() -> None:
    with pytest.raises(HandoverError, match=r"has critics\.2\.layers\.0\.weight, which Receiver does not"):
        give(make_module(num_critics=3), make_module())


# ---- between kinds of algorithms -----------------------------------------------------------------------------------

IQL_PARTS = {"policy_kind": "gaussian", "state_value": True}
CQL_PARTS = {"policy_kind": "gaussian", "initial_temperature": 1.0}
SAC_PARTS = {"policy_kind": "gaussian", "initial_temperature": 0.5}


@pytest.mark.parametrize("average", [False, True])
@pytest.mark.parametrize("parts", [IQL_PARTS, CQL_PARTS], ids=["IQL", "CQL"])
def test_sac_takes_actor_critics_targets_and_normaliser_and_keeps_its_temperature(
    parts: dict[str, Any], average: bool
) -> None:
    source, target = make_module(**parts), make_module(seed=1, average=average, **SAC_PARTS)
    temperature = target.log_temperature.detach().clone()
    tensors = give(source, target)
    assert torch.equal(tensors.pop("log_temperature"), temperature)
    handed = {name: tensor for name, tensor in tensors.items() if "average" not in name}
    own = ("state_value.", "log_temperature")
    assert_equal(handed, {name: tensor for name, tensor in source.state_dict().items() if not name.startswith(own)})
    assert target.evaluation_policy().fingerprint() == source.policy.fingerprint()


def test_iql_goes_on_with_its_own_state_value() -> None:
    source = make_module(**IQL_PARTS)
    assert_equal(give(source, make_module(seed=1, **IQL_PARTS)), dict(source.state_dict()))
    with pytest.raises(HandoverError, match=r"lacks state_value\.layers\.0\.weight, which Receiver has"):
        give(make_module(**CQL_PARTS), make_module(**IQL_PARTS))


@pytest.mark.parametrize(
    "name", ["critics.0.layers.0.weight", "target_critics.1.layers.4.bias", "policy.actor.layers.4.bias"]
)
def test_only_the_state_value_may_be_missing(name: str) -> None:
    tensors = dict(make_module(**IQL_PARTS).state_dict())
    del tensors[name]
    with pytest.raises(HandoverError, match=rf"lacks {name}, which Receiver has"):
        give(tensors, make_module(**SAC_PARTS))


def test_only_the_state_value_may_be_too_many() -> None:
    tensors = dict(make_module(**IQL_PARTS).state_dict())
    for name in ("state_values.layers.0.weight", "target_state_value.layers.0.weight"):
        with pytest.raises(HandoverError, match=rf"has {name}, which Receiver does not"):
            give({**tensors, name: torch.zeros(1)}, make_module(**SAC_PARTS))


@pytest.mark.parametrize(("source", "target"), [({}, SAC_PARTS), (IQL_PARTS, {})], ids=["TD3BC-SAC", "IQL-TD3"])
def test_a_policy_of_the_other_kind_is_refused(source: dict[str, Any], target: dict[str, Any]) -> None:
    with pytest.raises(HandoverError, match=r"policy\.actor\.layers\.4\.weight .* the same kind of policy"):
        give(make_module(**source), make_module(**target))


# ---- from checkpoints ----------------------------------------------------------------------------------------------


def test_nothing_at_a_path_is_named(tmp_path: Path) -> None:
    for load in (load_policy, load_module):
        with pytest.raises(FileNotFoundError, match="no checkpoint at"):
            load(tmp_path / "nothing")


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing here")
    for load in (load_policy, load_module):
        with pytest.raises(HandoverError, match="holds no RLlib checkpoint"):
            load(tmp_path)


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing here")
    with pytest.raises(PolicyFileError):
        load_policy(tmp_path / "notes.txt")


def test_a_policy_file_is_a_policy(tmp_path: Path) -> None:
    policy = Policy(11, -np.ones(3), np.ones(3), (8, 8))
    save_policy_file(policy, tmp_path / "policy.safetensors")
    assert load_policy(tmp_path / "policy.safetensors").fingerprint() == policy.fingerprint()


@pytest.mark.parametrize("average", [False, True])
def test_a_saved_module_is_a_policy_and_a_module(average: bool, tmp_path: Path) -> None:
    module = make_module(average=average)
    module.save_to_path(tmp_path / "module")
    assert_equal(dict(load_module(tmp_path / "module").state_dict()), dict(module.state_dict()))
    assert load_policy(tmp_path / "module").fingerprint() == module.evaluation_policy().fingerprint()


@pytest.mark.parametrize("file", ["module_state.*", "class_and_ctor_args.pkl"])
@pytest.mark.parametrize("length", [0, 50])
def test_a_damaged_checkpoint_is_named(file: str, length: int, tmp_path: Path) -> None:
    make_module().save_to_path(tmp_path / "module")
    (damaged,) = (tmp_path / "module").glob(file)
    damaged.write_bytes(damaged.read_bytes()[:length])
    with pytest.raises(HandoverError, match=r"module is damaged: \S"):
        load_policy(tmp_path / "module")


def test_a_module_of_somebody_else_is_refused(tmp_path: Path) -> None:
    from ray.rllib.core.rl_module.torch.torch_rl_module import TorchRLModule

    class Foreign(TorchRLModule):  # type: ignore[misc]
        def setup(self) -> None:
            self.layer = torch.nn.Linear(1, 1)

    Foreign(observation_space=Box(-1, 1, (1,)), action_space=Box(-1, 1, (1,))).save_to_path(tmp_path / "module")
    with pytest.raises(HandoverError, match="not an actor-critic of afrl_ray"):
        load_module(tmp_path / "module")


# ---- between real algorithms ---------------------------------------------------------------------------------------


def build(settings: OffPolicySettings) -> OffPolicyAlgorithm:
    config = algorithm_config(settings.model_copy(update={"hidden_sizes": (8, 8)})).training(replay_capacity=100)
    return config.debugging(seed=0, log_level="ERROR").build_algo()  # type: ignore[no-any-return]


PAIRS = {
    "TD3BC-TD3": (TD3BCSettings(), TD3Settings(policy_average_decay=0.9), {}),
    "IQL-SAC": (IQLSettings(), SACSettings(policy_average_decay=0.9, initial_temperature=0.5), IQL_PARTS),
    "CQL-SAC": (CQLSettings(), SACSettings(policy_average_decay=0.9, initial_temperature=0.5), CQL_PARTS),
}


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("ray_session")
@pytest.mark.parametrize("pair", PAIRS)
def test_an_offline_checkpoint_starts_the_online_algorithm(pair: str, tmp_path: Path) -> None:
    offline_settings, online_settings, parts = PAIRS[pair]
    offline = build(offline_settings)
    source = make_module(**parts)
    offline.load_module_tensors(dict(source.state_dict()))
    offline.save_to_path(tmp_path / "algorithm")
    assert_equal(dict(load_module(tmp_path / "algorithm").state_dict()), dict(source.state_dict()))
    assert_equal(dict(load_module(tmp_path).state_dict()), dict(source.state_dict()))  # a folder that contains one
    assert load_policy(tmp_path).fingerprint() == source.policy.fingerprint()

    online = build(online_settings)
    hand_over(load_module(tmp_path).state_dict(), online)
    tensors = online.module_tensors()
    if isinstance(online_settings, SACSettings):
        assert tensors.pop("log_temperature").item() == pytest.approx(np.log(0.5))
    handed = {name: tensor for name, tensor in tensors.items() if "average" not in name}
    assert handed.keys() <= source.state_dict().keys()
    assert_equal(handed, {name: source.state_dict()[name] for name in handed})
    assert online.evaluation_policy().fingerprint() == source.policy.fingerprint()
    assert online.env_runner.module.policy.fingerprint() == source.policy.fingerprint()  # those who act have it too
    with pytest.raises(HandoverError, match=r"policy\.actor\.layers\.0\.weight .* in (TD3|SAC)"):
        hand_over(dict(make_module((16, 8), **parts).state_dict()), online)
    for algorithm in (offline, online):
        algorithm.stop()
