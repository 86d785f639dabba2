from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from afrl_ray.networks import Policy, PolicyFileError, load_policy_file, save_policy_file

LOW, HIGH = np.array([-2.0, 0.0], np.float32), np.array([2.0, 1.0], np.float32)


@pytest.fixture(params=["deterministic", "gaussian"])
def policy(request: pytest.FixtureRequest) -> Policy:
    torch.manual_seed(0)
    policy = Policy(3, LOW, HIGH, (8, 4), request.param).eval()
    policy.normalizer.set_statistics([1.0, 2.0, 3.0], [0.1, 0.2, 0.3])
    return policy


@pytest.fixture
def observations() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(16, 3)).astype(np.float32)


def test_act_is_the_actor_on_normalised_observations(policy: Policy, observations: np.ndarray) -> None:
    actions = policy.act(observations)
    normalised = (torch.from_numpy(observations) - torch.tensor([1.0, 2.0, 3.0])) / torch.tensor([0.1, 0.2, 0.3])
    with torch.no_grad():
        np.testing.assert_allclose(actions, policy.actor(normalised).numpy(), rtol=1e-6)
    assert actions.dtype == np.float32
    assert actions.shape == (16, 2)


def test_it_knows_its_sizes_and_bounds(policy: Policy) -> None:
    assert (policy.observation_size, policy.action_size, policy.hidden_sizes) == (3, 2, (8, 4))
    np.testing.assert_array_equal(policy.action_low, LOW)
    np.testing.assert_array_equal(policy.action_high, HIGH)


def test_a_saved_policy_acts_exactly_alike(policy: Policy, observations: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "new" / "policy.safetensors"
    save_policy_file(policy, path, {"stage": "pretrain", "score": 12.5})
    loaded, record = load_policy_file(path)
    assert record == {"stage": "pretrain", "score": 12.5}
    assert (loaded.hidden_sizes, loaded.kind) == ((8, 4), policy.kind)
    assert not loaded.training
    np.testing.assert_array_equal(loaded.act(observations), policy.act(observations))
    assert loaded.fingerprint() == policy.fingerprint()


def test_saving_replaces_a_file_and_leaves_nothing_else(policy: Policy, tmp_path: Path) -> None:
    path = tmp_path / "policy.safetensors"
    path.write_text("something old")
    save_policy_file(policy, path)
    assert load_policy_file(path)[1] == {}
    assert [entry.name for entry in tmp_path.iterdir()] == ["policy.safetensors"]


@pytest.mark.parametrize("name", ["actor.layers.0.weight", "actor.layers.4.bias", "normalizer.mean", "normalizer.std"])
def test_the_fingerprint_sees_every_number(policy: Policy, name: str) -> None:
    before = policy.fingerprint()
    with torch.no_grad():
        policy.state_dict()[name].view(-1)[-1] += 1e-3
    assert policy.fingerprint() != before


def test_the_fingerprint_sees_the_action_bounds(policy: Policy) -> None:
    torch.manual_seed(0)
    other = Policy(3, LOW, 2 * HIGH, (8, 4), policy.kind)
    other.load_state_dict({**policy.state_dict(), **{k: v for k, v in other.state_dict().items() if "action_" in k}})
    assert other.fingerprint() != policy.fingerprint()


def test_a_gaussian_policy_can_be_sampled_from(observations: np.ndarray) -> None:
    policy = Policy(3, LOW, HIGH, (8, 4), "gaussian")
    policy.normalizer.set_statistics([1.0, 2.0, 3.0], [0.1, 0.2, 0.3])
    noise = np.random.default_rng(1).standard_normal((16, 2)).astype(np.float32)
    actions = policy.sample(observations, noise)
    assert actions.dtype == np.float32
    assert ((actions >= LOW) & (actions <= HIGH)).all()
    assert not np.allclose(actions, policy.act(observations), atol=0.01)
    np.testing.assert_array_equal(actions, policy.sample(observations, noise))
    np.testing.assert_allclose(policy.sample(observations, 0 * noise), policy.act(observations), rtol=1e-6)


def test_a_deterministic_policy_cannot_be_sampled_from(observations: np.ndarray) -> None:
    with pytest.raises(TypeError, match="nothing to sample from"):
        Policy(3, LOW, HIGH, (8, 4)).sample(observations, np.zeros((16, 2), np.float32))


def test_a_file_that_does_not_say_its_kind_is_deterministic(observations: np.ndarray, tmp_path: Path) -> None:
    """As the first files do not."""
    policy = Policy(3, LOW, HIGH, (8, 4))
    metadata = {"format": "afrl_ray.policy/1", "hidden_sizes": "[8, 4]", "record": "{}"}
    save_file({name: tensor.contiguous() for name, tensor in policy.state_dict().items()}, tmp_path / "old", metadata)
    loaded, _ = load_policy_file(tmp_path / "old")
    assert loaded.kind == "deterministic"
    np.testing.assert_array_equal(loaded.act(observations), policy.act(observations))
    save_file({"actor": torch.zeros(1)}, tmp_path / "new", {**metadata, "kind": "mixture"})
    with pytest.raises(PolicyFileError, match="kind 'mixture', which this version does not know"):
        load_policy_file(tmp_path / "new")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no policy file at"):
        load_policy_file(tmp_path / "nothing.safetensors")


@pytest.mark.parametrize("content", [b"", b"not tensors at all", b"\x80\x04K\x01."])
def test_a_file_of_another_kind_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "wrong.safetensors"
    path.write_bytes(content)
    with pytest.raises(PolicyFileError, match="not a safetensors file"):
        load_policy_file(path)


@pytest.mark.parametrize("metadata", [None, {"format": "pt"}])
def test_tensors_of_somebody_else_are_refused(metadata: dict[str, str] | None, tmp_path: Path) -> None:
    path = tmp_path / "foreign.safetensors"
    save_file({"weight": torch.zeros(2)}, path, metadata)
    with pytest.raises(PolicyFileError, match="not an afrl_ray policy"):
        load_policy_file(path)


def test_a_truncated_file_is_refused(policy: Policy, tmp_path: Path) -> None:
    path = tmp_path / "policy.safetensors"
    save_policy_file(policy, path)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(PolicyFileError):
        load_policy_file(path)


DAMAGES: dict[str, tuple[dict[str, str], dict[str, torch.Tensor | None], str]] = {
    "no bounds": ({}, {"actor.action_center": None}, r"it lacks actor\.action_center$"),
    "no layer": ({}, {"actor.layers.0.weight": None}, r"Missing key\(s\) in state_dict: .actor\.layers\.0\.weight"),
    "a tensor too many": ({}, {"critic": torch.zeros(1)}, r"Unexpected key\(s\) in state_dict: .critic"),
    "another shape": ({}, {"actor.layers.0.weight": torch.zeros(8, 5)}, "size mismatch"),
    "one number for a vector": ({}, {"normalizer.mean": torch.zeros(())}, "0-d tensor"),
    "other sizes": ({"hidden_sizes": "[8, 5]"}, {}, "size mismatch"),
    "no sizes": ({"hidden_sizes": "8"}, {}, "int"),
    "sizes that are not JSON": ({"hidden_sizes": "[8,"}, {}, "Expecting"),
    "a record that is a list": ({"record": "[]"}, {}, r"the record of its origin is \[\], not a mapping$"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_refused_in_one_line(damage: str, tmp_path: Path) -> None:
    changed, replaced, message = DAMAGES[damage]
    metadata = {"format": "afrl_ray.policy/1", "kind": "deterministic", "hidden_sizes": "[8, 4]", "record": "{}"}
    tensors = {**Policy(3, LOW, HIGH, (8, 4)).state_dict(), **replaced}
    kept = {name: tensor.contiguous() for name, tensor in tensors.items() if tensor is not None}
    path = tmp_path / "policy.safetensors"
    save_file(kept, path, {**metadata, **changed})
    with pytest.raises(PolicyFileError, match=rf"^\S+ is a damaged afrl_ray policy: [^\n]*{message}"):
        load_policy_file(path)


@pytest.mark.parametrize("lost", ["hidden_sizes", "record"])
def test_metadata_that_is_lost_is_named(lost: str, tmp_path: Path) -> None:
    metadata = {"format": "afrl_ray.policy/1", "hidden_sizes": "[8, 4]", "record": "{}"}
    del metadata[lost]
    tensors = Policy(3, LOW, HIGH, (8, 4)).state_dict()
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, tmp_path / "policy", metadata)
    with pytest.raises(PolicyFileError, match=f"it lacks {lost}$"):
        load_policy_file(tmp_path / "policy")
