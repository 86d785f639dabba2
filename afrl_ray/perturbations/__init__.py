"""What actuator faults do to actions."""

from afrl_ray.perturbations.multiplicative import draw_deltas, executed_actions
from afrl_ray.perturbations.source import (
    NO_PERTURBATION,
    ConstantSource,
    PerturbationSnapshot,
    PerturbationSource,
)

__all__ = [
    "NO_PERTURBATION",
    "ConstantSource",
    "PerturbationSnapshot",
    "PerturbationSource",
    "draw_deltas",
    "executed_actions",
]
