"""The stages of an experiment, and what they leave on disk."""
