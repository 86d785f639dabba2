"""What stands between policy and environment: a fault, with a parameter vector θ that an episode keeps to its end."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from afrl_ray.arrays import FloatArray, IntArray
from afrl_ray.config import FAULTS, FaultSettings
from afrl_ray.perturbations.parameters import ParameterSet

Memory = dict[str, NDArray[Any]]
"""What running episodes remember from step to step, by name; the first axis of every array is the episodes'."""


class ActsInBody(Protocol):
    """What a policy tells about its robot; `afrl_ray.networks.Policy` does."""

    @property
    def action_low(self) -> FloatArray: ...
    @property
    def action_high(self) -> FloatArray: ...
    @property
    def observation_std(self) -> FloatArray: ...


@dataclass(frozen=True)
class Body:
    """What a fault has to know of the robot."""

    action_low: FloatArray  # (A,)
    action_high: FloatArray  # (A,)
    observation_std: FloatArray  # (O,)
    """As the normaliser of a policy has it: the pretrained one's wherever several policies are compared; 1 where it has
    not seen any data."""

    @classmethod
    def of(cls, policy: ActsInBody) -> "Body":
        return cls(policy.action_low, policy.action_high, policy.observation_std)

    @property
    def action_size(self) -> int:
        return len(self.action_low)

    @property
    def half_range(self) -> FloatArray:
        return np.float32(0.5) * (self.action_high - self.action_low)


class Fault(ABC):
    """One kind of fault at one magnitude in one robot; a subclass names its kind, an entry of `config.FAULTS`.

    A kind says where θ lives, and what becomes of a batch of actions or observations under one θ per episode. What
    episodes have to remember, such as actions still on their way, it declares in `memory`; everything else about
    beginning, ending and reordering episodes is `RunningEpisodes`' business.
    """

    kinds: ClassVar[dict[str, type["Fault"]]] = {}
    kind: ClassVar[str]
    chooses_at_each_step: ClassVar[bool] = False
    """Whether θ may be NaN, for a choice at each step."""

    def __init_subclass__(cls, kind: str | None = None) -> None:
        if kind is not None:
            cls.kind = kind
            Fault.kinds[kind] = cls

    def __init__(self, magnitude: float, body: Body) -> None:
        self.magnitude = magnitude
        self.body = body

    def __eq__(self, other: object) -> bool:
        """Whether episodes under one fault are episodes under the other."""
        return isinstance(other, Fault) and self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self._identity())

    def _identity(self) -> tuple[Any, ...]:
        body = self.body
        arrays = (body.action_low, body.action_high, body.observation_std)
        return type(self), self.magnitude, *(array.tobytes() for array in arrays)

    @property
    @abstractmethod
    def parameters(self) -> ParameterSet:
        """Where θ (P,) lives."""

    @property
    def neutral(self) -> FloatArray:
        """The θ (P,) of a robot without fault."""
        return np.zeros(self.parameters.size, np.float32)

    def memory(self, seeds: IntArray) -> Memory:
        """What episodes of these `seeds` (n,) begin with. Randomness must come from an episode's own seed alone."""
        del seeds
        return {}

    def executed(self, intended: FloatArray, episodes: "RunningEpisodes") -> FloatArray:
        """What the actuators do when the policy asks for `intended` (n, A); clipped to the action space afterwards."""
        del episodes
        return intended

    def observed(self, observations: FloatArray, episodes: "RunningEpisodes") -> FloatArray:
        """What the policy sees of `observations` (n, O); called once per episode and step."""
        del episodes
        return observations


class RunningEpisodes:
    """n episodes under way, each under its own θ.

    `observations` (n, O) is what the policy sees now. An episode's rows depend on its own θ, seed and actions, and
    not on the episodes beside it.
    """

    def __init__(self, fault: Fault, parameters: FloatArray, seeds: IntArray, observations: FloatArray) -> None:
        """Begin episodes under `parameters` (n, P) with first `observations` (n, O).

        Raises:
            ValueError: θ is one of another kind of fault, or of another robot.
        """
        size = fault.parameters.size
        if parameters.shape[1] != size:
            raise ValueError(
                f"θ has {parameters.shape[1]} numbers, a {fault.kind} fault of this robot takes {size}; "
                "was it made for another robot?"
            )
        self._fault = fault
        self.parameters = parameters
        self.memory = fault.memory(seeds)
        self.observations = fault.observed(observations, self)

    def __len__(self) -> int:
        return len(self.parameters)

    def executed(self, intended: FloatArray) -> FloatArray:
        """What the actuators do when the policy asks for `intended` (n, A), within the action space."""
        body = self._fault.body
        return np.clip(self._fault.executed(intended, self), body.action_low, body.action_high)

    def observe(self, observations: FloatArray) -> FloatArray:
        """What the policy sees (n, O) of the `observations` (n, O) that a step led to; once per step."""
        self.observations = self._fault.observed(observations, self)
        return self.observations

    def keep(self, mask: NDArray[np.bool_]) -> None:
        """Go on with the episodes where `mask` (n,) is true."""
        self.parameters, self.observations = self.parameters[mask], self.observations[mask]
        self.memory = {name: values[mask] for name, values in self.memory.items()}

    def replace(self, rows: NDArray[np.integer[Any]], beginning: "RunningEpisodes") -> None:
        """Put `beginning` episodes of the same fault in the places `rows` (len(beginning),)."""
        self.parameters = self.parameters.copy()
        self.observations = self.observations.copy()  # the environment's own array, or somebody's row
        self.parameters[rows], self.observations[rows] = beginning.parameters, beginning.observations
        for name, values in self.memory.items():
            values[rows] = beginning.memory[name]


def make_fault(settings: FaultSettings, body: Body) -> Fault:
    """The fault that `settings` describe, in the robot `body`.

    Raises:
        ValueError: the settings have no magnitude.
    """
    if settings.magnitude is None:
        raise ValueError(f"a {settings.type} fault needs its magnitude here")
    assert FAULTS.keys() <= Fault.kinds.keys(), "every kind in config.FAULTS needs its class"
    return Fault.kinds[settings.type](settings.magnitude, body)
