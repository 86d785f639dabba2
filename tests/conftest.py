"""What tests of several packages share."""

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from afrl_ray.attacks import AttackBank


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where processes share the tests (-n 2): file by file, the longest first, and all clusters in one process."""
    if not config.getoption("numprocesses", None) and not hasattr(config, "workerinput"):
        return

    def is_marked(item: pytest.Item, name: str) -> bool:
        return item.get_closest_marker(name) is not None

    slow_files = {item.path for item in items if is_marked(item, "slow")}
    items.sort(key=lambda item: (not is_marked(item, "cluster"), item.path not in slow_files))
    for item in items:
        item.add_marker(pytest.mark.xdist_group("cluster" if is_marked(item, "cluster") else str(item.path)))


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
