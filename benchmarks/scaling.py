"""How long a study takes on so many cores, and what keeps it from being faster: a model, not a measurement.

A study is what `afrl reproduce` does: all offline trainings, then all attack banks, then all fine-tunings, then all
tests, each phase after the one before. Data, offline trainings and fine-tunings are serial chains of one core each;
attacks and tests are cut into as many tasks as there are cores. Beside the cores, everything that the whole cluster
shares has a limit of its own: Tune's loop, the bank's actor, MLflow (inside Tune's loop) and the storage.
"""

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from afrl_ray.config.base import Settings


class ScalingSettings(Settings):
    """What the model assumes."""

    seeds: PositiveInt = Field(5, description="independent runs of everything (the paper's)")
    arms: PositiveInt = Field(5, description="fine-tunings from each offline training (ours)")
    robots: PositiveInt = Field(4, description="environments (ours)")
    steps: PositiveInt = Field(
        3_000_000, description="environment steps of a fine-tuning, one update each (the paper's)"
    )
    pretrain_updates: PositiveInt = Field(5_000_000, description="updates of an offline training (the paper's)")
    data_transitions: PositiveInt = Field(
        1_000_000, description="offline transitions, rolled out by a process each (D4RL's)"
    )
    attack_steps: PositiveInt = Field(
        100_000_000, description="environment steps of the searches for the banks of one robot and seed (ours)"
    )
    attack_generations: PositiveInt = Field(30, description="rounds of a search, one after the other (ours)")
    validation_interval: PositiveInt = Field(5_000, description="environment steps between two results (default)")
    validation_episodes: PositiveInt = Field(30, description="episodes of a result, over all conditions (default)")
    test_episodes: PositiveInt = Field(
        1_200, description="2 policies, at 2 steps, 3 conditions, 100 episodes (default)"
    )
    episode_steps: PositiveInt = Field(1_000, description="length of an episode, all to their time limit")
    steps_per_read: PositiveInt = Field(
        2_500, description="environment steps for one read of the bank's actor: two a result"
    )
    checkpoint_interval: PositiveInt = Field(
        50_000, description="environment steps between two checkpoints (paper.yaml)"
    )
    checkpoint_bytes: PositiveFloat = Field(
        4.0e8, description="bytes of a checkpoint: a million rows of 96 floats (ours, of Ant's size)"
    )

    training_rate: PositiveFloat = Field(170.0, description="environment steps and updates per second of a core")
    pretrain_rate: PositiveFloat = Field(200.0, description="offline updates per second of a core")
    rollout_rate: PositiveFloat = Field(5_000.0, description="environment steps per second of a core, policy acting")
    trial_start: NonNegativeFloat = Field(
        20.0, description="seconds until a fine-tuning's process takes its first step"
    )
    loop_seconds: PositiveFloat = Field(
        0.040, description="seconds of Tune's loop per result, scheduler and MLflow in it"
    )
    bank_reads: PositiveFloat = Field(1_900.0, description="reads per second that the bank's actor can answer")
    storage_rate: PositiveFloat = Field(5.0e8, description="bytes per second that the shared storage takes (ours)")
    core_hour: PositiveFloat = Field(
        0.09, description="dollars for a core and an hour: c7i on demand, 2 threads a core"
    )


@dataclass(frozen=True)
class Phase:
    """One part of the study; nothing of the next one begins before it is over."""

    name: str
    hours: float
    core_hours: float
    """Of cores that compute."""
    limit: str
    """What it waits for: cores, chains, or something that all share."""


@dataclass(frozen=True)
class Estimate:
    """A study on so many cores."""

    cores: int
    phases: tuple[Phase, ...]
    dollars: float
    """For all cores, from the beginning to the end."""

    @property
    def hours(self) -> float:
        return sum(phase.hours for phase in self.phases)

    @property
    def utilisation(self) -> float:
        """Share of the paid core-hours that compute."""
        return sum(phase.core_hours for phase in self.phases) / (self.cores * self.hours)


def estimate(settings: ScalingSettings, cores: int) -> Estimate:
    """
    Raises:
        ValueError: there are no cores.
    """
    if cores < 1:
        raise ValueError(f"cores must be at least 1, not {cores}")
    phases = (_data(settings, cores), _pretraining(settings, cores), _attacks(settings, cores))
    phases += (_finetuning(settings, cores), _tests(settings, cores))
    return Estimate(cores, phases, sum(phase.hours for phase in phases) * cores * settings.core_hour)


def ceilings(settings: ScalingSettings) -> dict[str, float]:
    """The number of cores from which on each part is no faster, however many more there are; the lowest first.

    The shared ones are about fine-tunings: each core that trains asks that much of them.
    """
    pairs = settings.seeds * settings.robots
    per_second = settings.validation_interval / _interval_seconds(settings)  # steps a core takes, validation included
    shared = _shared_loads(settings, per_second)
    found = {
        f"data and offline trainings: {pairs} chains": float(pairs),
        f"fine-tunings: {pairs * settings.arms} chains": float(pairs * settings.arms),
        **{name: 1.0 / load for name, load in shared.items()},
    }
    return dict(sorted(found.items(), key=lambda item: item[1]))


def makespan(durations: Sequence[float], cores: int) -> float:
    """Time until serial pieces of work are all done, each begun by the first core that is free, in their order."""
    free = [0.0] * min(cores, max(len(durations), 1))
    for duration in durations:
        heapq.heapreplace(free, free[0] + duration)
    return max(free)


def _data(settings: ScalingSettings, cores: int) -> Phase:
    one = settings.data_transitions / settings.rollout_rate
    return _chains("data", one, settings.seeds * settings.robots, cores)


def _pretraining(settings: ScalingSettings, cores: int) -> Phase:
    one = settings.trial_start + settings.pretrain_updates / settings.pretrain_rate
    return _chains("offline training", one, settings.seeds * settings.robots, cores)


def _chains(name: str, seconds: float, count: int, cores: int) -> Phase:
    """So many serial pieces of work, all alike."""
    limit = "cores" if count > cores else f"{count} chains"
    return Phase(name, makespan([seconds] * count, cores) / 3600, count * seconds / 3600, limit)


def _attacks(settings: ScalingSettings, cores: int) -> Phase:
    """Banks are made one after the other; a round ends with its longest episode."""
    pairs = settings.seeds * settings.robots
    work = settings.attack_steps / settings.rollout_rate
    longest = settings.attack_generations * settings.episode_steps / settings.rollout_rate
    limit = "cores" if work / cores > longest else "rounds of the search"
    return Phase("attacks", pairs * max(work / cores, longest) / 3600, pairs * work / 3600, limit)


def _finetuning(settings: ScalingSettings, cores: int) -> Phase:
    trials = settings.seeds * settings.robots * settings.arms
    results = settings.steps // settings.validation_interval
    one = settings.trial_start + results * _interval_seconds(settings)
    phase = alone = _chains("fine-tuning", one, trials, cores)
    for name, load in _shared_loads(settings, trials * settings.steps / (alone.hours * 3600)).items():
        if alone.hours * load > phase.hours:
            phase = replace(alone, hours=alone.hours * load, limit=name)
    return phase


def _tests(settings: ScalingSettings, cores: int) -> Phase:
    trials = settings.seeds * settings.robots * settings.arms
    seconds = trials * settings.test_episodes * settings.episode_steps / settings.rollout_rate
    return Phase("tests", seconds / cores / 3600, seconds / 3600, "cores")


def _interval_seconds(settings: ScalingSettings) -> float:
    """Of a fine-tuning, from one result to the next."""
    validation = settings.validation_episodes * settings.episode_steps / settings.rollout_rate
    return settings.validation_interval / settings.training_rate + validation


def _shared_loads(settings: ScalingSettings, steps_per_second: float) -> Mapping[str, float]:
    """How busy each shared part is, 1 being all the time, while all fine-tunings together take so many steps."""
    return {
        "Tune's loop, with scheduler and MLflow": steps_per_second
        / settings.validation_interval
        * settings.loop_seconds,
        "the bank's actor": steps_per_second / settings.steps_per_read / settings.bank_reads,
        "the storage, by checkpoints": steps_per_second
        / settings.checkpoint_interval
        * settings.checkpoint_bytes
        / settings.storage_rate,
    }
