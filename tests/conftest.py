"""What tests of several packages share."""

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

if TYPE_CHECKING:
    from afrl_ray.attacks import AttackBank


_CLUSTERS = "tests/integration/"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Where processes share the tests (-n 3), they do so by file, and one process has all clusters."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.split("::")[0]
            return _CLUSTERS if file.startswith(_CLUSTERS) else file

    config.option.loadscopereorder = False
    return ByFile(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """In each of several processes, what takes longest comes first: clusters, then other files with slow tests."""
    if not hasattr(config, "workerinput"):
        return

    def is_marked(item: pytest.Item, name: str) -> bool:
        return item.get_closest_marker(name) is not None

    slow_files = {item.path for item in items if is_marked(item, "slow")}
    items.sort(key=lambda item: (not item.nodeid.startswith(_CLUSTERS), item.path not in slow_files))


@pytest.fixture(scope="session")
def ray_session() -> Iterator[None]:
    """One Ray for all tests of this process; anything that uses it is marked slow."""
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
