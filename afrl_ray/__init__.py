"""Adversarial fine-tuning of offline reinforcement-learning policies, on Ray."""

__version__ = "0.1.0"
