"""What tests of several packages share."""

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from afrl_ray.attacks import AttackBank


@pytest.fixture(scope="session")
def ray_session() -> Iterator[None]:
    """One Ray for the whole test run; anything that uses it is marked slow."""
    import ray

    # the same as `afrl run` sets: Tune's own result loggers write three files per trial that nobody reads
    os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
    started_here = not ray.is_initialized()
    if started_here:
        ray.init(
            address="local",
            num_cpus=2,
            include_dashboard=False,
            log_to_driver=False,
            object_store_memory=200 * 1024**2,
        )
    yield
    if started_here:
        ray.shutdown()


@pytest.fixture(scope="session")
def small_bank() -> "AttackBank":
    """Three faults of a robot with two joints."""
    from afrl_ray.attacks import AttackBank
    from afrl_ray.config import FaultSettings

    return AttackBank(
        deltas=np.array([[0.3, -0.3], [-0.2, 0.1], [0.0, 0.25]], dtype=np.float32),
        fitness=np.array([10.0, 20.5, 1 / 3]),
        environment_steps=np.array([100, 200, 300]),
        seeds=np.array([7, 8, 2**31 - 1]),
        fault=FaultSettings(magnitude=0.3),
        environment="Hopper-v4",
        policy_hash="abc",
    )
