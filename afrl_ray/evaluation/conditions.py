"""The episodes of an evaluation, as data: which seeds, and which δ in each (Ayabe et al. 2025, equation 12).

Episode i has one seed, common to all policies and conditions, and one δ per condition, common to all policies: every
comparison is paired. Neither depends on how many episodes are asked for, so a short evaluation is the beginning of a
long one.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from afrl_ray.config import Condition
from afrl_ray.perturbations import draw_deltas
from afrl_ray.seeding import derive_seed

FloatArray = NDArray[np.float32]
Purpose = Literal["validation", "test"]

CONDITIONS: tuple[Condition, ...] = get_args(Condition)
"""The paper's conditions, in the order of its tables."""


@dataclass(frozen=True)
class ConditionEpisodes:
    """N episodes under one condition, ready for a runner."""

    condition: str
    """What the scores' rows are called: a Condition, `mixture`, or a name of the caller's."""
    run_seed: int
    """The experiment's seed, from which everything here is derived."""
    seeds: NDArray[np.int64]  # (N,)
    """One environment seed per episode, in [0, 2³¹)."""
    deltas: FloatArray  # (N, A)

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
    action_size: int
    epsilon: float
    """Bound on |δ| in the random condition."""

    def under(
        self, condition: Condition, *, bank: FloatArray | None = None, name: str | None = None
    ) -> ConditionEpisodes:
        """Every episode perturbed (q = 1): zero, an own uniform draw, or the members of `bank` (K, A) in turn.

        Taking the members in turn is the uniform draw of equation 12 stratified: the same mean over many episodes,
        with each member in its fair share of a few. `name` labels the rows of a condition that is not one of the
        three, such as an attack made against the policy itself.

        Raises:
            ValueError: the adversarial condition has no bank, or one for other joints.
        """
        return ConditionEpisodes(name or condition, self.run_seed, self._seeds(), self._deltas(condition, bank))

    def mixture(self, q: float, condition: Condition, *, bank: FloatArray | None = None) -> ConditionEpisodes:
        """The training mixture: a share `q` of the episodes as in `under(condition)`, the others with δ = 0.

        The share is exact up to rounding, and the episodes perturbed at some q stay so at every larger q, so that a
        change of the score is not an accident of which episodes were drawn.

        Raises:
            ValueError: as `under`, or `q` is no probability.
        """
        if not 0 <= q <= 1:
            raise ValueError(f"q is a probability, not {q}")
        order = np.random.default_rng(self._derive("mixture")).permutation(self.episodes)
        perturbed = (order + 0.5) / self.episodes < q  # (N,)
        deltas = np.where(perturbed[:, None], self._deltas(condition, bank), np.float32(0))
        return ConditionEpisodes("mixture", self.run_seed, self._seeds(), deltas)

    def _derive(self, *path: str | int) -> int:
        return derive_seed(self.run_seed, "evaluation", self.purpose, *path)

    def _seeds(self) -> NDArray[np.int64]:
        return np.array([self._derive(episode) for episode in range(self.episodes)], dtype=np.int64)

    def _deltas(self, condition: Condition, bank: FloatArray | None) -> FloatArray:
        deltas = np.zeros((self.episodes, self.action_size), dtype=np.float32)
        if condition == "normal":
            return deltas
        for episode in range(self.episodes):
            member = bank if bank is None or len(bank) == 0 else bank[[episode % len(bank)]]
            deltas[episode] = draw_deltas(
                condition,
                1,
                self.action_size,
                q=1.0,
                epsilon=self.epsilon,
                bank=member,
                generator=np.random.default_rng(self._derive(condition, episode)),
            )[0]
        return deltas
