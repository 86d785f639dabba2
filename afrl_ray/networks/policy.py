"""A policy ready to act: normaliser and actor together, in memory and as a safetensors file."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialize_tensors
from torch import Tensor, nn

from afrl_ray.config import PolicyKind
from afrl_ray.networks.actor_critic import Actor, ObservationNormalizer
from afrl_ray.networks.gaussian import GaussianActor
from afrl_ray.storage import replacing

_FORMAT = "afrl_ray.policy/1"
_ACTORS: Mapping[PolicyKind, type[Actor]] = {"deterministic": Actor, "gaussian": GaussianActor}


class PolicyFileError(ValueError):
    """The file is not a policy of ours."""


class Policy(nn.Module):
    """Raw observations in, actions in the action space's units out.

    It acts deterministically, a Gaussian policy by its mean action; `sample` is for exploration.
    """

    actor: Actor

    def __init__(
        self,
        observation_size: int,
        action_low: ArrayLike,
        action_high: ArrayLike,
        hidden_sizes: Sequence[int],
        kind: PolicyKind = "deterministic",
    ) -> None:
        super().__init__()
        self.observation_size = observation_size
        self.hidden_sizes = tuple(hidden_sizes)
        self.kind = kind
        self.normalizer = ObservationNormalizer(observation_size)
        self.actor = _ACTORS[kind](observation_size, action_low, action_high, hidden_sizes)

    @property
    def action_size(self) -> int:
        return len(self.actor.action_center)

    @property
    def action_low(self) -> NDArray[np.float32]:
        return (self.actor.action_center - self.actor.action_half_range).cpu().numpy()

    @property
    def action_high(self) -> NDArray[np.float32]:
        return (self.actor.action_center + self.actor.action_half_range).cpu().numpy()

    @property
    def observation_std(self) -> NDArray[np.float32]:
        return self.normalizer.std.cpu().numpy().copy()

    def forward(self, observations: Tensor) -> Tensor:  # (batch, O) -> (batch, A)
        return self.actor(self.normalizer(observations))  # type: ignore[no-any-return]

    @torch.inference_mode()
    def act(self, observations: NDArray[np.float32]) -> NDArray[np.float32]:
        """Actions (batch, A) for observations (batch, O)."""
        return self(torch.from_numpy(observations)).numpy()  # type: ignore[no-any-return]

    @torch.inference_mode()
    def sample(self, observations: NDArray[np.float32], noise: NDArray[np.float32]) -> NDArray[np.float32]:
        """Random actions (batch, A) of a Gaussian policy for observations (batch, O) and standard normal noise
        (batch, A).

        Raises:
            TypeError: the policy is deterministic.
        """
        if not isinstance(self.actor, GaussianActor):
            raise TypeError("a deterministic policy has nothing to sample from")
        actions: Tensor = self.actor.sample(self.normalizer(torch.from_numpy(observations)), torch.from_numpy(noise))[0]
        return actions.numpy()

    def fingerprint(self) -> str:
        """SHA-256 over all weights and statistics: two policies with one fingerprint act alike."""
        digest = hashlib.sha256()
        for name, tensor in sorted(self.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()


def save_policy_file(policy: Policy, path: Path, record: Mapping[str, Any] | None = None) -> None:
    """Write `policy` to `path` with a JSON-serialisable `record` of its origin, atomically."""
    metadata = {
        "format": _FORMAT,
        "kind": policy.kind,
        "hidden_sizes": json.dumps(policy.hidden_sizes),
        "record": json.dumps(dict(record or {})),
    }
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in policy.state_dict().items()}
    with replacing(path) as temporary:
        temporary.write_bytes(serialize_tensors(tensors, metadata))


def load_policy_file(path: Path) -> tuple[Policy, dict[str, Any]]:
    """The policy in `path` and the record of its origin.

    Raises:
        FileNotFoundError: there is no such file.
        PolicyFileError: it is not a policy of ours.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no policy file at {path}")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise PolicyFileError(f"{path} is not a safetensors file: {error}") from error
    if metadata.get("format") != _FORMAT:
        raise PolicyFileError(f"{path} is not an afrl_ray policy (format {metadata.get('format')!r})")
    kind = metadata.get("kind", "deterministic")  # the first files do not say
    if kind not in _ACTORS:
        raise PolicyFileError(f"{path} holds a policy of kind {kind!r}, which this version does not know")
    try:
        return _rebuild(metadata, tensors, kind), _read_record(metadata)
    except KeyError as error:
        raise PolicyFileError(f"{path} is a damaged afrl_ray policy: it lacks {error.args[0]}") from error
    except (TypeError, ValueError, RuntimeError) as error:
        raise PolicyFileError(f"{path} is a damaged afrl_ray policy: {' '.join(str(error).split())}") from error


def _rebuild(metadata: Mapping[str, str], tensors: Mapping[str, Tensor], kind: PolicyKind) -> Policy:
    half_range, center = tensors["actor.action_half_range"], tensors["actor.action_center"]
    policy = Policy(
        len(tensors["normalizer.mean"]),
        (center - half_range).numpy(),
        (center + half_range).numpy(),
        json.loads(metadata["hidden_sizes"]),
        kind,
    )
    policy.load_state_dict(tensors)
    return policy.eval()


def _read_record(metadata: Mapping[str, str]) -> dict[str, Any]:
    record = json.loads(metadata["record"])
    if not isinstance(record, dict):
        raise TypeError(f"the record of its origin is {record!r}, not a mapping")
    return record
