"""Plain multilayer perceptrons that every algorithm shares, so that any checkpoint can seed any other algorithm."""

from afrl_ray.networks.actor_critic import Actor, Critic, ObservationNormalizer, StateValue, multilayer_perceptron
from afrl_ray.networks.critic_gradients import CriticGradients
from afrl_ray.networks.ensemble import BatchedCritics, Critics, SeparateCritics, make_critics
from afrl_ray.networks.gaussian import GaussianActor
from afrl_ray.networks.policy import Policy, PolicyFileError, load_policy_file, save_policy_file
from afrl_ray.networks.threads import limit_threads

__all__ = [
    "Actor",
    "BatchedCritics",
    "Critic",
    "CriticGradients",
    "Critics",
    "GaussianActor",
    "ObservationNormalizer",
    "Policy",
    "PolicyFileError",
    "SeparateCritics",
    "StateValue",
    "limit_threads",
    "load_policy_file",
    "make_critics",
    "multilayer_perceptron",
    "save_policy_file",
]
