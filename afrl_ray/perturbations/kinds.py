"""The kinds of faults; their equations are in docs/algorithms.md."""

from abc import abstractmethod
from itertools import combinations

import numpy as np

from afrl_ray.arrays import FloatArray, IntArray
from afrl_ray.perturbations.fault import Fault, Memory, RunningEpisodes
from afrl_ray.perturbations.parameters import Box, FiniteSet, ParameterSet
from afrl_ray.seeding import derive_seed

_NOISE_BLOCK = 50
"""Steps for which an episode's noise is drawn at once: one call of its generator per step would cost more than the
simulator's step."""


class Multiplicative(Fault, kind="multiplicative"):
    """ã = a + δ ⊙ a with θ = δ in [−ε, ε]^A (Ayabe et al. 2025, equation 8)."""

    @property
    def parameters(self) -> ParameterSet:
        return Box(-self.magnitude, self.magnitude, self.body.action_size)

    def executed(self, intended: FloatArray, episodes: RunningEpisodes) -> FloatArray:
        return intended + episodes.parameters * intended


class DeadJoint(Multiplicative, kind="dead_joint"):
    """ã_i = 0 for some joints: multiplicative with δ_i = −1 there and 0 elsewhere, one θ for each choice of joints."""

    @property
    def parameters(self) -> ParameterSet:
        count, joints = int(self.magnitude), self.body.action_size
        if count > joints:
            raise ValueError(f"{count} dead joints are more than the {joints} that this robot has")
        choices = list(combinations(range(joints), count))
        members = np.zeros((len(choices), joints), np.float32)
        for member, dead in zip(members, choices, strict=True):
            member[list(dead)] = -1.0
        return FiniteSet(members)


class Bias(Fault, kind="bias"):
    """ã = a + θ ⊙ h, h half the action range, θ in [−m, m]^A."""

    @property
    def parameters(self) -> ParameterSet:
        return Box(-self.magnitude, self.magnitude, self.body.action_size)

    def executed(self, intended: FloatArray, episodes: RunningEpisodes) -> FloatArray:
        return intended + episodes.parameters * self.body.half_range


class Saturation(Fault, kind="saturation"):
    """ã = clip(a, c − θ ⊙ h, c + θ ⊙ h), c the middle and h half of the action range, θ in [1 − m, 1]^A."""

    @property
    def parameters(self) -> ParameterSet:
        return Box(1.0 - self.magnitude, 1.0, self.body.action_size)

    @property
    def neutral(self) -> FloatArray:
        return np.ones(self.body.action_size, np.float32)

    def executed(self, intended: FloatArray, episodes: RunningEpisodes) -> FloatArray:
        reach = episodes.parameters * self.body.half_range
        center = (self.body.action_low + self.body.action_high) / 2
        return np.clip(intended, center - reach, center + reach)


class Delay(Fault, kind="delay"):
    """ã_t = a_{t−θ}, and 0 before the first action arrives, with θ one of 1 … m steps."""

    @property
    def parameters(self) -> ParameterSet:
        return FiniteSet(np.arange(1, int(self.magnitude) + 1, dtype=np.float32)[:, None])

    def memory(self, seeds: IntArray) -> Memory:
        return {"sent": np.zeros((len(seeds), int(self.magnitude) + 1, self.body.action_size), np.float32)}

    def executed(self, intended: FloatArray, episodes: RunningEpisodes) -> FloatArray:
        sent = episodes.memory["sent"]  # (n, m + 1, A), the latest first
        sent[:, 1:] = sent[:, :-1].copy()
        sent[:, 0] = intended
        return sent[np.arange(len(sent)), episodes.parameters[:, 0].astype(np.int64)]


class Noise(Fault):
    """Standard normal numbers for each step, from a generator of the episode's own."""

    @property
    @abstractmethod
    def _width(self) -> int:
        """How many numbers a step needs."""

    @property
    def parameters(self) -> ParameterSet:
        return Box(0.0, self.magnitude, self._width)

    def memory(self, seeds: IntArray) -> Memory:
        generators = np.empty(len(seeds), dtype=object)
        generators[:] = [np.random.default_rng(derive_seed(int(seed), self.kind)) for seed in seeds]
        noise = np.empty((len(seeds), _NOISE_BLOCK, self._width), np.float32)
        return {"generators": generators, "noise": noise, "used": np.full(len(seeds), _NOISE_BLOCK)}

    def _next(self, memory: Memory) -> FloatArray:
        """The next numbers (n, width) of every episode."""
        noise, used = memory["noise"], memory["used"]
        for row in np.flatnonzero(used == _NOISE_BLOCK):
            memory["generators"][row].standard_normal(dtype=np.float32, out=noise[row])
            used[row] = 0
        numbers: FloatArray = noise[np.arange(len(noise)), used]
        used += 1
        return numbers


class ActionNoise(Noise, kind="action_noise"):
    """ã_t = a_t + θ ⊙ h ⊙ n_t, n_t ~ N(0, I), h half the action range, θ in [0, m]^A."""

    @property
    def _width(self) -> int:
        return self.body.action_size

    def executed(self, intended: FloatArray, episodes: RunningEpisodes) -> FloatArray:
        return intended + episodes.parameters * self.body.half_range * self._next(episodes.memory)


class ObservationNoise(Noise, kind="observation_noise"):
    """The policy sees s_t + θ ⊙ σ ⊙ n_t, n_t ~ N(0, I), σ the observations' standard deviation, θ in [0, m]^O."""

    @property
    def _width(self) -> int:
        return len(self.body.observation_std)

    def observed(self, observations: FloatArray, episodes: RunningEpisodes) -> FloatArray:
        return observations + episodes.parameters * self.body.observation_std * self._next(episodes.memory)
