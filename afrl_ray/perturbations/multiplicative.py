"""Multiplicative actuator faults, ã = a + δ ⊙ a, with δ fixed for a whole episode (Ayabe et al. 2025, equation 7)."""

import numpy as np
from numpy.typing import NDArray

from afrl_ray.config import Condition

FloatArray = NDArray[np.float32]


def executed_actions(intended: FloatArray, deltas: FloatArray, low: FloatArray, high: FloatArray) -> FloatArray:
    """clip(a + δ ⊙ a, low, high): what the actuators do when asked for `intended`.

    Shapes: intended and deltas (n, A); low and high (A,); result (n, A).
    """
    return np.clip(intended + deltas * intended, low, high)


def draw_deltas(
    condition: Condition,
    count: int,
    action_size: int,
    *,
    q: float,
    epsilon: float,
    bank: FloatArray | None,
    generator: np.random.Generator,
) -> FloatArray:
    """One δ for each of `count` episodes, (count, A): with probability `q` a draw of the condition, else 0 (eq. 8, 12).

    normal is always zero, random draws U[−ε, ε] per joint, adversarial a uniform member of `bank` (K, A).

    Raises:
        ValueError: an adversarial draw is asked for without a bank, or from one of other joints.
    """
    deltas = np.zeros((count, action_size), dtype=np.float32)
    perturbed = generator.random(count) < q
    if condition == "random":
        draws = generator.uniform(-epsilon, epsilon, (count, action_size)).astype(np.float32)
        deltas[perturbed] = draws[perturbed]
    elif condition == "adversarial":
        if bank is None or len(bank) == 0:
            raise ValueError("an adversarial draw needs an attack bank with at least one member")
        if bank.shape[1] != action_size:
            raise ValueError(f"the attack bank is for {bank.shape[1]} joints, the environment has {action_size}")
        members = generator.integers(len(bank), size=count)
        deltas[perturbed] = bank[members[perturbed]]
    return deltas
