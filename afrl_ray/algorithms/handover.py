"""From one algorithm's checkpoint to another algorithm's networks: everything fits, or an error names what does not."""

from collections.abc import Mapping
from pathlib import Path

import torch
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.core.rl_module.rl_module import RLModule

from afrl_ray.algorithms.off_policy import OffPolicyAlgorithm
from afrl_ray.algorithms.rl_module import ActorCriticModule
from afrl_ray.networks import Policy, load_policy_file

_AVERAGE = "average_actor."
_ACTOR = "policy.actor."
_LEFT_BEHIND = (_AVERAGE, "state_value.")
"""Dropped where the receiver has none: the slow average, and IQL's V, which nothing online needs."""
_TEMPERATURE = "log_temperature"
_MODULE_FOLDERS = (
    Path("learner_group/learner/rl_module") / DEFAULT_MODULE_ID,
    Path("algorithm/learner_group/learner/rl_module") / DEFAULT_MODULE_ID,
    Path(DEFAULT_MODULE_ID),
    Path(),
)


class HandoverError(ValueError):
    """The checkpoint does not hold the networks that the algorithm has."""


def load_module(checkpoint: Path) -> ActorCriticModule:
    """The networks in an RLlib checkpoint of ours, or in a folder that contains one.

    Raises:
        FileNotFoundError: there is nothing at `checkpoint`.
        HandoverError: it holds no actor-critic of ours, or is damaged.
    """
    if not checkpoint.exists():
        raise FileNotFoundError(f"no checkpoint at {checkpoint}")
    for folder in _MODULE_FOLDERS:
        if (checkpoint / folder / "class_and_ctor_args.pkl").is_file() and _is_module(checkpoint / folder):
            try:
                module = RLModule.from_checkpoint(str((checkpoint / folder).absolute()))
            except (OSError, ImportError):
                raise
            except Exception as error:  # whatever unpickling makes of damaged files
                raise HandoverError(f"{checkpoint / folder} is damaged: {error or type(error).__name__}") from error
            if not isinstance(module, ActorCriticModule):
                raise HandoverError(f"{checkpoint} holds a {type(module).__name__}, not an actor-critic of afrl_ray")
            return module
    raise HandoverError(f"{checkpoint} holds no RLlib checkpoint of an afrl_ray algorithm")


def _is_module(folder: Path) -> bool:
    return any((folder / name).exists() for name in ("module_state.pt", "module_state.pkl", "module_state.msgpack"))


def load_policy(path: Path) -> Policy:
    """The policy to evaluate in `path`: a policy file, or any RLlib checkpoint of ours.

    Raises:
        FileNotFoundError, PolicyFileError, HandoverError: there is none.
    """
    if path.is_file():
        return load_policy_file(path)[0]
    return load_module(path).evaluation_policy()


def hand_over(tensors: Mapping[str, torch.Tensor], algorithm: OffPolicyAlgorithm) -> None:
    """Start `algorithm` from another's networks: actor, critics, targets and normaliser.

    A slow average of the policy goes on where both keep one, and starts at the actor where only `algorithm` does.
    IQL's V is left behind. The temperature of the entropy is not handed over: it starts as `algorithm` configures it.

    Raises:
        HandoverError: a network is missing, is not wanted, or has another shape.
    """
    expected = algorithm.module_tensors()
    given = {name: tensor for name, tensor in tensors.items() if name in expected or not name.startswith(_LEFT_BEHIND)}
    given.pop(_TEMPERATURE, None)
    if _TEMPERATURE in expected:
        given[_TEMPERATURE] = expected[_TEMPERATURE]
    for name, tensor in tensors.items():
        average = _AVERAGE + name.removeprefix(_ACTOR)
        if name.startswith(_ACTOR) and average in expected:
            given.setdefault(average, tensor)
    for name in expected:
        if name not in given:
            raise HandoverError(f"the checkpoint lacks {name}, which {type(algorithm).__name__} has")
        if given[name].shape != expected[name].shape:
            shapes = f"{tuple(given[name].shape)} in the checkpoint, {tuple(expected[name].shape)}"
            remedy = "use the same hidden_sizes and the same kind of policy"
            raise HandoverError(f"{name} has shape {shapes} in {type(algorithm).__name__}; {remedy}")
    for name in given:
        if name not in expected:
            raise HandoverError(f"the checkpoint has {name}, which {type(algorithm).__name__} does not")
    algorithm.load_module_tensors(given)
