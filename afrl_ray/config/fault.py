"""Which fault stands between policy and environment, and how strong it is."""

import difflib
from dataclasses import dataclass

from pydantic import Field, PositiveFloat, field_validator, model_validator

from afrl_ray.config.base import Settings


@dataclass(frozen=True)
class Magnitude:
    """What one kind's strength may be."""

    default: float | None
    """None: perturbation.epsilon, or the robot's own ε where that is not given either."""
    largest: float
    whole: bool = False
    """Whether it counts something."""

    def refuse(self, value: float) -> str | None:
        """Why `value`, which is positive, cannot be a strength; None where it can."""
        if self.whole and value != int(value):
            return f"magnitude is {value:g}; write a whole number"
        return f"magnitude is {value:g}; write {self.largest:g} or less" if value > self.largest else None


FAULTS: dict[str, Magnitude] = {
    "multiplicative": Magnitude(default=None, largest=1),
    "dead_joint": Magnitude(default=1, largest=100, whole=True),
    "bias": Magnitude(default=0.3, largest=2),
    "saturation": Magnitude(default=0.5, largest=1),
    "delay": Magnitude(default=3, largest=100, whole=True),
    "action_noise": Magnitude(default=0.3, largest=10),
    "observation_noise": Magnitude(default=0.1, largest=10),
}
"""The kinds of faults, each a class of that name in `afrl_ray/perturbations`; all defaults are ours."""


class FaultSettings(Settings):
    """A kind of fault and the set that its parameters θ are drawn from or searched in."""

    type: str = Field("multiplicative", json_schema_extra=lambda schema: schema.update(enum=list(FAULTS)))
    """What is wrong with the actuators or sensors, a kind of `FAULTS`."""
    magnitude: PositiveFloat | None = None
    """How strong the fault can be: the largest |δ|; the number of dead joints; the largest bias in half action ranges;
    the largest share of a joint's range that is lost; the most steps an action is late; the largest standard deviation
    of the noise, in half action ranges or in standard deviations of the observation. The kind's default when not given;
    for multiplicative that is ε."""

    @field_validator("type")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in FAULTS:
            close = difflib.get_close_matches(value, FAULTS, n=1)
            raise ValueError(f"did you mean {close[0]}?" if close else f"write one of {', '.join(FAULTS)}")
        return value

    @model_validator(mode="after")
    def _possible(self) -> "FaultSettings":
        reason = FAULTS[self.type].refuse(self.magnitude) if self.magnitude is not None else None
        if reason is not None:
            raise ValueError(f"type is {self.type}, {reason}")
        return self

    @property
    def needs_epsilon(self) -> bool:
        """Whether its magnitude is ε."""
        return self.magnitude is None and FAULTS[self.type].default is None

    def resolved(self, epsilon: float | None) -> "FaultSettings":
        """The same with its magnitude: its own, its kind's default, or `epsilon`.

        Raises:
            ValueError: none of them is known.
        """
        magnitude = self.magnitude or FAULTS[self.type].default or epsilon
        if magnitude is None:
            raise ValueError(f"a {self.type} fault has no magnitude of its own here; set perturbation.epsilon")
        return self.model_copy(update={"magnitude": magnitude})

    def __str__(self) -> str:
        return self.type if self.magnitude is None else f"{self.type} {self.magnitude:g}"
