"""Faults between policy and environment: what they do to actions and observations, and how they are chosen."""

from afrl_ray.perturbations.draws import draw_parameters
from afrl_ray.perturbations.fault import Body, Fault, Memory, RunningEpisodes, make_fault
from afrl_ray.perturbations.kinds import Multiplicative
from afrl_ray.perturbations.parameters import Box, FiniteSet, ParameterSet
from afrl_ray.perturbations.pgd import GradientSource, StepwisePGD, projected_gradient_deltas
from afrl_ray.perturbations.source import (
    NO_PERTURBATION,
    ConstantSource,
    PerturbationSnapshot,
    PerturbationSource,
)

__all__ = [
    "NO_PERTURBATION",
    "Body",
    "Box",
    "ConstantSource",
    "Fault",
    "FiniteSet",
    "GradientSource",
    "Memory",
    "Multiplicative",
    "ParameterSet",
    "PerturbationSnapshot",
    "PerturbationSource",
    "RunningEpisodes",
    "StepwisePGD",
    "draw_parameters",
    "make_fault",
    "projected_gradient_deltas",
]
