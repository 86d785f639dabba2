"""Hosts without power, a network cut, a raylet killed, the head lost: the job ends as if nothing had happened."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from faults.host import Host
from faults.hosts import Hosts, switched_on
from faults.record import Record
from faults.results import assert_as_undisturbed
from faults.runs import INTERVAL, Job, LocalRun, wait_for
from faults.servers import redis_server

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.long]
AFTER = 2 * INTERVAL


def lose_a_worker(hosts: Hosts, note: Record, how: Callable[[Host], None]) -> Host:
    """A host with a trial, which the trials have gone on without."""
    host = hosts.worker_of_a_trial()
    nodes = hosts.living(host)
    assert nodes
    note.strike(lambda: how(host))
    # the storage is a folder, which even a host without a network writes to: that alone is no recovery
    wait_for(lambda: hosts.given_up(nodes), "the head to give the host up")
    note.recovered()
    return host


def test_power_cut_and_then_a_partition_that_heals(job: Job, hosts: Hosts, undisturbed: LocalRun) -> None:
    """In one job, of which one host of three is left; the tests of each alone tell which of them went wrong."""
    job.reach(AFTER)
    notes = [Record("power_cut", job), Record("partition", job)]
    lost = [lose_a_worker(hosts, note, how) for note, how in zip(notes, (Host.cut_power, Host.unplug), strict=True)]
    lost[1].plug_in()
    for note in notes:
        note.end()
    for host in lost:
        hosts.mend(host)  # a raylet that was parted ends when it learns that it was given up
    assert_as_undisturbed(job.results, undisturbed.results)


@pytest.mark.long
def test_partition_that_heals(job: Job, hosts: Hosts, undisturbed: LocalRun, record: Callable[..., Record]) -> None:
    note = record("partition", job)
    job.reach(AFTER)
    host = lose_a_worker(hosts, note, Host.unplug)
    host.plug_in()
    note.end()
    hosts.mend(host)
    assert_as_undisturbed(job.results, undisturbed.results)


@pytest.mark.long
def test_power_cut(job: Job, hosts: Hosts, undisturbed: LocalRun, record: Callable[..., Record]) -> None:
    note = record("power_cut", job)
    job.reach(AFTER)
    host = lose_a_worker(hosts, note, Host.cut_power)
    note.end()
    hosts.mend(host)
    assert_as_undisturbed(job.results, undisturbed.results)


@pytest.mark.long
def test_raylet(job: Job, hosts: Hosts, undisturbed: LocalRun, record: Callable[..., Record]) -> None:
    note = record("raylet", job)
    job.reach(AFTER)
    host = hosts.worker_of_a_trial()
    note.strike(lambda: host.kill("raylet/raylet"))
    note.recovered()
    note.end()
    hosts.mend(host)
    assert_as_undisturbed(job.results, undisturbed.results)


@pytest.mark.long
def test_driver_of_a_job(job: Job, hosts: Hosts, undisturbed: LocalRun, record: Callable[..., Record]) -> None:
    note = record("driver_of_a_job", job)
    job.reach(AFTER)
    note.strike(lambda: hosts.head.kill("-m afrl_ray run"))
    assert wait_for(job.over, "the end") == "FAILED"
    job.resume()
    note.recovered()
    note.end(resumed=True)
    assert_as_undisturbed(job.results, undisturbed.results)


@pytest.mark.long
@pytest.mark.usefixtures("namespaces")
@pytest.mark.skipif(shutil.which("redis-server") is None, reason="redis-server is not installed")
def test_head_with_its_state_in_redis(undisturbed: LocalRun, record: Callable[..., Record], tmp_path: Path) -> None:
    """The head's host goes and comes back. The driver was on it, so the job is resumed."""
    with redis_server(tmp_path) as port, switched_on(workers=2, redis=port) as hosts:
        job = Job.submit(hosts, undisturbed)
        note = record("head", job)
        job.reach(AFTER)
        note.strike(hosts.head.cut_power)
        hosts.start_ray(hosts.head)
        wait_for(job.is_known_to_have_failed, "the command to say so")  # Ray itself calls it running for good
        assert job.status()["time"] == job.status()["time"]  # it took until the head was lost
        job.resume()
        note.recovered()
        note.end(resumed=True)
        assert_as_undisturbed(job.results, undisturbed.results)
