"""Policy × environments × perturbations → returns, in one process or spread over Ray."""

from afrl_ray.rollouts.candidates import Candidate, CandidateEpisodes, play_candidates
from afrl_ray.rollouts.distributed import CandidateRunner, DistributedRollouts, EpisodeRunner, LocalRollouts
from afrl_ray.rollouts.episodes import EpisodePool, Episodes, run_episodes
from afrl_ray.rollouts.resumable import KeptRollouts

__all__ = [
    "Candidate",
    "CandidateEpisodes",
    "CandidateRunner",
    "DistributedRollouts",
    "EpisodePool",
    "EpisodeRunner",
    "Episodes",
    "KeptRollouts",
    "LocalRollouts",
    "play_candidates",
    "run_episodes",
]
