"""Hosts that die or are cut off while a job runs on them."""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.cluster, pytest.mark.slow]
AFTER = 800


@pytest.fixture(scope="module")
def hosts(make_hosts: Any) -> Iterator[Any]:
    """A head and three workers; the tests kill what they like and leave as many."""
    with make_hosts(workers=3) as cluster:
        yield cluster


@pytest.fixture
def job(hosts: Any, submit: Callable[..., Any]) -> Any:
    return submit(hosts)


@contextmanager
def redis_server(folder: Path) -> Iterator[int]:
    """Redis on a free port of every address of this machine."""
    port = 23_000 + os.getpid() % 1000
    options = ["--port", str(port), "--bind", "0.0.0.0", "--protected-mode", "no", "--dir", str(folder)]
    process = subprocess.Popen(["redis-server", *options], stdout=subprocess.DEVNULL)
    try:
        yield port
    finally:
        process.kill()
        process.wait()


def host_of_a_trial(hosts: Any) -> Any:
    return next(host for host in hosts.workers if host.pids("ray::FinetuneTrial"))


def test_a_partition_that_heals(job: Any, hosts: Any, undisturbed: Any, record: Any, same: Any) -> None:
    note = record("partition", job.steps)
    job.reach(AFTER)
    host = host_of_a_trial(hosts)
    note.strike(host.unplug)
    note.recovered()
    host.plug_in()
    job.succeed(note)
    note.repeated(job.output / "finetune" / "replay")
    same(job.results, undisturbed.results)
    host.cut_power()  # its raylet ended when it learned that it had been given up
    hosts.start_ray(host)


@pytest.mark.long
def test_a_raylet(job: Any, hosts: Any, undisturbed: Any, record: Any, same: Any) -> None:
    note = record("raylet", job.steps)
    job.reach(AFTER)
    host = host_of_a_trial(hosts)
    note.strike(lambda: host.kill("raylet/raylet"))
    note.recovered()
    job.succeed(note)
    note.repeated(job.output / "finetune" / "replay")
    same(job.results, undisturbed.results)
    host.cut_power()
    hosts.start_ray(host)


@pytest.mark.long
def test_a_jobs_driver(job: Any, hosts: Any, undisturbed: Any, record: Any, same: Any) -> None:
    note = record("job_driver", job.steps)
    job.reach(AFTER)
    note.strike(lambda: hosts.head.kill("-m afrl_ray run"))
    assert job.wait_over() == "FAILED"
    job.resume()
    note.facts["resumed"] = True
    note.recovered()
    job.succeed(note)
    note.repeated(job.output / "finetune" / "replay")
    same(job.results, undisturbed.results)


def test_a_power_cut(job: Any, hosts: Any, undisturbed: Any, record: Any, same: Any) -> None:
    note = record("power_cut", job.steps)
    job.reach(AFTER)
    host = host_of_a_trial(hosts)
    note.strike(host.cut_power)
    note.recovered()
    job.succeed(note)
    note.repeated(job.output / "finetune" / "replay")
    same(job.results, undisturbed.results)
    hosts.start_ray(host)


@pytest.mark.long
@pytest.mark.skipif(shutil.which("redis-server") is None, reason="redis-server is not installed")
def test_a_head_that_is_lost_with_its_state_in_redis(
    make_hosts: Any, submit: Callable[..., Any], undisturbed: Any, record: Any, same: Any, tmp_path: Path
) -> None:
    """The head's host goes and comes back; the driver was on it, so the job is resumed."""
    with redis_server(tmp_path) as port, make_hosts(workers=2, redis=port) as hosts:
        job = submit(hosts)
        note = record("head", job.steps)
        job.reach(AFTER)
        note.strike(hosts.head.cut_power)
        time.sleep(2)
        hosts.start_ray(hosts.head)
        job.wait_over()
        job.resume()
        note.facts["resumed"] = True
        note.recovered()
        job.succeed(note)
        note.repeated(job.output / "finetune" / "replay")
        same(job.results, undisturbed.results)
