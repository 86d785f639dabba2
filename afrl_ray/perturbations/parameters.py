"""The sets that a fault's parameter vector θ lives in."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]


@dataclass(frozen=True)
class Box:
    """[low, high]^size."""

    low: float
    high: float
    size: int

    def draw(self, count: int, generator: np.random.Generator) -> FloatArray:
        """Uniform draws (count, size)."""
        return generator.uniform(self.low, self.high, (count, self.size)).astype(np.float32)


@dataclass(frozen=True)
class FiniteSet:
    """A few vectors, all of which can be tried."""

    members: FloatArray  # (M, size)

    @property
    def size(self) -> int:
        return len(self.members[0])

    def draw(self, count: int, generator: np.random.Generator) -> FloatArray:
        """Uniform draws (count, size)."""
        return self.members[generator.integers(len(self.members), size=count)]


ParameterSet = Box | FiniteSet
