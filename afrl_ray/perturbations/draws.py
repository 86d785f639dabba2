"""How the parameters θ of an episode's fault are chosen (Ayabe et al. 2025, equations 8 and 12)."""

import numpy as np

from afrl_ray.arrays import FloatArray
from afrl_ray.config import Condition
from afrl_ray.perturbations.fault import Fault


def draw_parameters(
    condition: Condition,
    count: int,
    fault: Fault,
    *,
    q: float,
    bank: FloatArray | None,
    generator: np.random.Generator,
) -> FloatArray:
    """One θ for each of `count` episodes, (count, P): with probability `q` a draw of the condition, else neutral.

    normal is always neutral, random draws uniformly from the fault's set, adversarial takes a uniform member of `bank`
    (K, P), and pgd gives NaN, which says that each step chooses anew.

    Raises:
        ValueError: an adversarial draw is asked for without a bank, or from one of another robot or fault; or pgd of a
            fault that has no critic.
    """
    parameters = np.tile(fault.neutral, (count, 1))
    perturbed = generator.random(count) < q
    if condition == "random":
        parameters[perturbed] = fault.parameters.draw(count, generator)[perturbed]
    elif condition == "adversarial":
        if bank is None or len(bank) == 0:
            raise ValueError("an adversarial draw needs an attack bank with at least one member")
        if bank.shape[1] != parameters.shape[1]:
            size = parameters.shape[1]
            raise ValueError(
                f"the attack bank's θ has {bank.shape[1]} numbers, a {fault.kind} fault of this robot takes {size}"
            )
        members = generator.integers(len(bank), size=count)
        parameters[perturbed] = bank[members[perturbed]]
    elif condition == "pgd":
        if not fault.chooses_at_each_step:
            raise ValueError("pgd needs a fault that descends on a critic")
        parameters[perturbed] = np.nan
    return parameters
