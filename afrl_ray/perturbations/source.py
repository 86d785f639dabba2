"""Where an env runner learns which faults to apply, without knowing who decides."""

from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from afrl_ray.arrays import FloatArray
from afrl_ray.config import Condition, FaultSettings, PGDSettings
from afrl_ray.perturbations.draws import draw_parameters
from afrl_ray.perturbations.fault import Body, Fault, make_fault
from afrl_ray.perturbations.pgd import GradientSource, StepwisePGD


@dataclass(frozen=True)
class PerturbationSnapshot:
    """What holds for all episodes that begin until the next snapshot."""

    condition: Condition
    q: float
    fault: FaultSettings
    bank: FloatArray | None  # (K, P)
    pgd: PGDSettings = field(default_factory=PGDSettings)
    critic: GradientSource | None = None
    """What pgd descends on; None: the critic that is being trained."""
    observation_std: FloatArray | None = None  # (O,)
    """σ of the observations' noise; None: that of the policy that acts."""

    def make_fault(self, body: Body, current_critic: GradientSource | None = None) -> Fault:
        """The fault in the robot `body`.

        Raises:
            ValueError: the condition is pgd and there is no critic.
        """
        if self.observation_std is not None:
            body = replace(body, observation_std=self.observation_std)
        if self.condition != "pgd":
            return make_fault(self.fault, body)
        critic = self.critic or current_critic
        if critic is None:
            raise ValueError("pgd needs a critic, and the env runner has none")
        assert self.fault.magnitude is not None
        return StepwisePGD(self.fault.magnitude, body, self.pgd, critic)

    def draw(self, count: int, fault: Fault, generator: np.random.Generator) -> FloatArray:
        """One θ per beginning episode, (count, P)."""
        return draw_parameters(self.condition, count, fault, q=self.q, bank=self.bank, generator=generator)


class PerturbationSource(Protocol):
    """Asked once per sample call, never per episode; must be picklable. All snapshots have the same fault."""

    def snapshot(self) -> PerturbationSnapshot: ...


@dataclass(frozen=True)
class ConstantSource:
    """Always the same snapshot."""

    value: PerturbationSnapshot

    def snapshot(self) -> PerturbationSnapshot:
        return self.value


NO_PERTURBATION = PerturbationSnapshot("normal", q=0.0, fault=FaultSettings(magnitude=1.0), bank=None)
