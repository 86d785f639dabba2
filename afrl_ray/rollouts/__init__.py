"""Policy × environments × perturbations → returns, in one process or spread over Ray."""

from afrl_ray.rollouts.distributed import DistributedRollouts, EpisodeRunner, LocalRollouts
from afrl_ray.rollouts.episodes import EpisodePool, Episodes, run_episodes

__all__ = ["DistributedRollouts", "EpisodePool", "EpisodeRunner", "Episodes", "LocalRollouts", "run_episodes"]
