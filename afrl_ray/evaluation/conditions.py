"""The episodes of an evaluation, as data: which seeds, and which θ in each (Ayabe et al. 2025, equation 12).

Episode i has one seed, common to all policies and conditions, and one θ per condition, common to all policies: every
comparison is paired, the noise of noisy faults included. Neither depends on how many episodes are asked for, so a
short evaluation is the beginning of a long one.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from afrl_ray.arrays import FloatArray
from afrl_ray.config import Condition
from afrl_ray.perturbations import Fault, draw_parameters
from afrl_ray.seeding import derive_seed

Purpose = Literal["validation", "test"]

CONDITIONS: tuple[Condition, ...] = ("normal", "random", "adversarial")
"""The paper's main conditions, in the order of its tables."""


@dataclass(frozen=True)
class ConditionEpisodes:
    """N episodes under one condition, ready for a runner."""

    condition: str
    """What the scores' rows are called: a Condition, `mixture`, or a name of the caller's."""
    run_seed: int
    """The experiment's seed, from which everything here is derived."""
    seeds: NDArray[np.int64]  # (N,)
    """One environment seed per episode, in [0, 2³¹)."""
    parameters: FloatArray  # (N, P)
    """Parameters of `fault`; NaN where each step chooses anew."""
    fault: Fault

    def __len__(self) -> int:
        return len(self.seeds)


@dataclass(frozen=True)
class EvaluationPlan:
    """What all episodes of an evaluation share.

    The two purposes have disjoint seeds: a checkpoint chosen on validation episodes is measured on others.
    """

    run_seed: int
    purpose: Purpose
    episodes: int
    """Episodes per condition."""
    fault: Fault
    """What episodes suffer unless another fault is named."""

    def under(
        self,
        condition: Condition,
        *,
        bank: FloatArray | None = None,
        name: str | None = None,
        fault: Fault | None = None,
    ) -> ConditionEpisodes:
        """Every episode perturbed (q = 1): neutral, an own uniform draw, the members of `bank` (K, P) in turn, or pgd.

        Taking the members in turn is the uniform draw of equation 12 stratified: the same mean over many episodes,
        with each member in its fair share of a few. `name` labels the rows of a condition that is not one of the
        three, such as an attack made against the policy itself.

        Raises:
            ValueError: the adversarial condition has no bank, or one of another fault or robot.
        """
        fault = fault or self.fault
        parameters = self._parameters(condition, bank, fault)
        return ConditionEpisodes(name or condition, self.run_seed, self._seeds(), parameters, fault)

    def _derive(self, *path: str | int) -> int:
        return derive_seed(self.run_seed, "evaluation", self.purpose, *path)

    def _seeds(self) -> NDArray[np.int64]:
        return np.array([self._derive(episode) for episode in range(self.episodes)], dtype=np.int64)

    def _parameters(self, condition: Condition, bank: FloatArray | None, fault: Fault) -> FloatArray:
        parameters = np.tile(fault.neutral, (self.episodes, 1))
        if condition == "normal":
            return parameters
        for episode in range(self.episodes):
            member = bank if bank is None or len(bank) == 0 else bank[[episode % len(bank)]]
            generator = np.random.default_rng(self._derive(condition, episode))
            parameters[episode] = draw_parameters(condition, 1, fault, q=1.0, bank=member, generator=generator)[0]
        return parameters
