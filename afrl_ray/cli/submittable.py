"""What `afrl submit` can run here or hand to a cluster."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from afrl_ray.jobs.specification import JobSpecification


@dataclass(frozen=True)
class Submittable:
    runtime_address: str | None
    """Of the settings."""
    run_here: Callable[[], None]
    specification: Callable[[], "JobSpecification"]
