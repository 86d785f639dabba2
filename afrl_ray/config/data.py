"""Where the offline transitions come from."""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, PositiveInt

from afrl_ray.config.base import Settings


class GeneratedData(Settings):
    type: Literal["generated"] = "generated"
    policy: str = "bundled"
    """`bundled` takes the robot's expert shipped with the package; otherwise the path of a policy of ours."""
    transitions: PositiveInt = 300_000
    """Number of transitions to roll out."""
    exploration_noise: NonNegativeFloat = 0.1
    """Standard deviation of the Gaussian added to the actions, in units of half the action range; 0 is deterministic.
    The expert's own exploration noise is the default: deterministic episodes are so alike that a policy learned from
    them falls as soon as it leaves their path."""


class MinariData(Settings):
    type: Literal["minari"] = "minari"
    dataset: str
    """A Minari dataset id (mujoco/hopper/expert-v0), or the folder of one."""
    transitions: PositiveInt | None = None
    """Read at most this many transitions; all of them when not given."""


class D4RLData(Settings):
    type: Literal["d4rl"] = "d4rl"
    dataset: str
    """The path of a D4RL HDF5 file, or a D4RL name (hopper-expert-v2) whose file lies in the D4RL folder."""
    transitions: PositiveInt | None = None
    """Read at most this many transitions; all of them when not given."""


DataSettings = Annotated[GeneratedData | MinariData | D4RLData, Field(discriminator="type")]
