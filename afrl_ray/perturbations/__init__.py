"""What actuator faults do to actions."""

from afrl_ray.perturbations.multiplicative import draw_deltas, executed_actions

__all__ = ["draw_deltas", "executed_actions"]
