"""The sets that a fault's parameter vector θ lives in."""

from dataclasses import dataclass

import numpy as np

from afrl_ray.arrays import FloatArray


@dataclass(frozen=True)
class Box:
    """[low, high]^size."""

    low: float
    high: float
    size: int

    def draw(self, count: int, generator: np.random.Generator) -> FloatArray:
        """Uniform draws (count, size)."""
        return generator.uniform(self.low, self.high, (count, self.size)).astype(np.float32)

    def contains(self, parameters: FloatArray) -> bool:
        """Whether all of `parameters` (K, size) are in it, up to float32's rounding."""
        rounding = 1e-6 * max(abs(self.low), abs(self.high))
        return bool(np.all((parameters >= self.low - rounding) & (parameters <= self.high + rounding)))


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

    def contains(self, parameters: FloatArray) -> bool:
        """Whether all of `parameters` (K, size) are members."""
        return all(bool((self.members == vector).all(axis=1).any()) for vector in parameters)


ParameterSet = Box | FiniteSet
