"""Where an env runner learns which faults to apply, without knowing who decides."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from afrl_ray.config import Condition
from afrl_ray.perturbations.multiplicative import draw_deltas

FloatArray = NDArray[np.float32]


@dataclass(frozen=True)
class PerturbationSnapshot:
    """What holds for all episodes that begin until the next snapshot."""

    condition: Condition
    q: float
    epsilon: float
    bank: FloatArray | None  # (K, A)

    def draw(self, count: int, action_size: int, generator: np.random.Generator) -> FloatArray:
        """One δ per beginning episode, (count, A)."""
        return draw_deltas(
            self.condition,
            count,
            action_size,
            q=self.q,
            epsilon=self.epsilon,
            bank=self.bank,
            generator=generator,
        )


class PerturbationSource(Protocol):
    """Asked once per sample call, never per episode; must be picklable."""

    def snapshot(self) -> PerturbationSnapshot: ...


@dataclass(frozen=True)
class ConstantSource:
    """Always the same snapshot."""

    value: PerturbationSnapshot

    def snapshot(self) -> PerturbationSnapshot:
        return self.value


NO_PERTURBATION = PerturbationSnapshot("normal", q=0.0, epsilon=0.0, bank=None)
