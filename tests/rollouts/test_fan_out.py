"""Tasks over free cores, with a real Ray."""

import time
from typing import Any

import pytest
import ray
from ray.util import placement_group, remove_placement_group

from afrl_ray.rollouts.fan_out import TrialQueue, cluster_room, fan_out

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("ray_session")]

CORE = {"CPU": 1.0}


def shares(count: int, seconds: float) -> list[tuple[int, float]]:
    return [(index, seconds) for index in range(count)]


def together(naps: list[tuple[int, float, float]]) -> int:
    """The most that ran at one time."""
    return max(sum(begun <= start < ended for _, begun, ended in naps) for _, start, _ in naps)


@pytest.fixture
def waiting_trial() -> Any:
    """What a trial reserves, of a resource that nobody has."""
    group = placement_group([{"nobody_has_this": 1.0}])
    yield group
    remove_placement_group(group)


def nap() -> Any:
    """What says which share it was, and when it began and ended; made here, since workers do not have this module."""

    def run(index: int, seconds: float) -> tuple[int, float, float]:
        begun = time.time()
        time.sleep(seconds)
        return index, begun, time.time()

    return run


def test_results_come_in_the_order_of_the_shares() -> None:
    naps = fan_out(nap(), [(0, 0.3), (1, 0.0), (2, 0.1)], CORE, at_once=2)
    assert [index for index, _, _ in naps] == [0, 1, 2]
    assert fan_out(nap(), [], CORE, at_once=2) == []
    assert cluster_room(CORE) == 2
    assert cluster_room({"CPU": 2.0}) == 1


def test_all_free_cores_are_used() -> None:
    assert together(fan_out(nap(), shares(6, 0.3), CORE, at_once=2)) == 2


def test_one_task_goes_on_while_a_trial_waits(waiting_trial: Any) -> None:
    assert TrialQueue().is_waiting()
    assert together(fan_out(nap(), shares(4, 0.3), CORE, at_once=2)) == 1
    remove_placement_group(waiting_trial)
    _until(lambda: not TrialQueue().is_waiting())
    assert together(fan_out(nap(), shares(4, 0.3), CORE, at_once=2)) == 2


def test_a_trial_gets_its_core_before_the_shares_are_done() -> None:
    @ray.remote(num_cpus=0)
    def trial() -> float:
        time.sleep(1.0)  # the tasks have both cores by then
        group = placement_group([CORE])
        ray.get(group.ready())
        placed = time.time()
        remove_placement_group(group)
        return placed

    placed = trial.remote()
    naps = fan_out(nap(), shares(16, 0.5), CORE, at_once=2)
    assert ray.get(placed) < max(ended for _, _, ended in naps)


def _until(condition: Any, seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.2)
