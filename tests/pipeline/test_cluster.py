import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest
import ray

from afrl_ray.config import RuntimeSettings
from afrl_ray.pipeline.cluster import _start_here, _take_sigterm_for_ctrl_c, connect


def test_a_dashboard_cannot_be_joined() -> None:
    with pytest.raises(ValueError, match="http://head:8265 takes jobs: write afrl submit CONFIG --address http://head"):
        connect(RuntimeSettings(address="http://head:8265"))


def test_a_cluster_of_another_version_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def init(**_: object) -> None:
        raise RuntimeError("Version mismatch: The cluster was started with:\n    Ray: 2.9.0\n")

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", init)
    message = r"^cannot join head:6379: Version mismatch: The cluster was started with: Ray: 2\.9\.0$"
    with pytest.raises(ValueError, match=message):
        connect(RuntimeSettings(address="head:6379"))


def test_a_start_that_times_out_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes: list[Exception | None] = [Exception("The current node timed out during startup."), None]

    def init(**_: object) -> None:
        if (outcome := outcomes.pop(0)) is not None:
            raise outcome

    monkeypatch.setattr(ray, "init", init)
    _start_here()
    assert outcomes == []

    outcomes += [Exception("The current node timed out during startup.")] * 4
    with pytest.raises(TimeoutError, match="Ray did not start within 4 attempts: this machine is too busy"):
        _start_here()

    outcomes += [Exception("no room")]
    with pytest.raises(Exception, match="no room"):
        _start_here()


def test_a_gpu_is_refused_by_a_machine_without_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    node = {"Alive": True, "Resources": {"CPU": 2.0, "memory": 1e9}}
    for name, answer in {"init": None, "shutdown": None, "is_initialized": False, "nodes": [node]}.items():
        monkeypatch.setattr(ray, name, lambda *_, answer=answer, **__: answer)
    with pytest.raises(
        ValueError,
        match=r"a trial \(runtime\.resources\.trial\) asks for 1 CPU, 1 GPU, which no node can ever give; "
        "this machine has 1 node of 2 CPU$",
    ):
        connect(RuntimeSettings(device="cuda"))


@pytest.mark.slow
def test_a_cluster_that_is_gone_is_not_looked_for() -> None:
    """`ray start` leaves its address behind when the machine or its processes are killed."""
    folder = Path(tempfile.mkdtemp(prefix="afrl", dir="/tmp"))  # sockets want short paths
    try:
        (folder / "ray").mkdir()
        (folder / "ray" / "ray_current_cluster").write_text("127.0.0.1:1")
        code = (
            "from afrl_ray.config import RuntimeSettings\n"
            "from afrl_ray.pipeline.cluster import connect\n"
            "connect(RuntimeSettings())\n"
            "import ray\n"
            "print(len(ray.nodes()))\n"
        )
        environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**environment, "RAY_TMPDIR": str(folder)},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def handlers() -> object:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize("ctrl_c", [signal.default_int_handler, signal.SIG_IGN])
def test_a_termination_is_an_interrupt_even_where_ctrl_c_is_ignored(ctrl_c: object) -> None:
    signal.signal(signal.SIGINT, ctrl_c)  # type: ignore[arg-type]
    _take_sigterm_for_ctrl_c()
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.usefixtures("handlers")
def test_whoever_handles_ctrl_c_handles_termination() -> None:
    seen: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _frame: seen.append(number))
    _take_sigterm_for_ctrl_c()
    os.kill(os.getpid(), signal.SIGTERM)
    assert seen == [signal.SIGINT]


@pytest.mark.usefixtures("handlers")
def test_other_threads_leave_signals_alone() -> None:
    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=_take_sigterm_for_ctrl_c)
    thread.start()
    thread.join()
    assert signal.getsignal(signal.SIGTERM) is before
