"""The driver and the process of pretraining when the actor between them dies; Ray is a stand-in."""

import io
from types import SimpleNamespace
from typing import Any

import pytest
from ray.exceptions import ActorDiedError

from afrl_ray.pipeline import cluster, progress, remote
from afrl_ray.studies import foundations
from afrl_ray.telemetry.board import board


class Words:
    """A queue whose process dies after so many questions."""

    def __init__(self, dies_after: int) -> None:
        self.dies_after = dies_after
        self.put_in: list[Any] = []

    def _asked(self) -> None:
        self.dies_after -= 1
        if self.dies_after < 0:
            raise ActorDiedError

    def qsize(self) -> int:
        self._asked()
        return 1

    def get_nowait_batch(self, _count: int) -> list[Any]:
        self._asked()
        return ["said\n"]

    def put(self, what: Any) -> None:
        self._asked()
        self.put_in.append(what)


def test_the_driver_waits_for_pretraining_without_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    waits = [[], [], [], ["task"]]
    fake = SimpleNamespace(wait=lambda _tasks, timeout: (waits.pop(0), []), get=lambda _task: None)  # noqa: ARG005
    monkeypatch.setattr(remote, "ray", fake)
    heard = io.StringIO()
    monkeypatch.setattr(progress.console, "file", heard)
    remote._follow("task", Words(dies_after=3))  # within the second look
    assert heard.getvalue() == "said\n"
    assert waits == []


def test_a_process_of_pretraining_that_was_started_again_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    waits = [[], [], ["task"]]
    fake = SimpleNamespace(wait=lambda _tasks, timeout: (waits.pop(0), []), get=lambda _task: None)  # noqa: ARG005
    monkeypatch.setattr(remote, "ray", fake)
    said = [[remote._Begun()], [remote._Begun()], []]
    monkeypatch.setattr(remote, "_heard", lambda _words: said.pop(0))
    board.clear()
    remote._follow("task", Words(0))
    [failure] = board.report().failures
    assert (failure.kind, failure.message) == ("pretrain", "the process of pretraining died and was started again")
    board.clear()


def test_pretraining_goes_on_when_nobody_hears_it() -> None:
    words = Words(dies_after=1)
    relay = remote._Relay(words)
    assert [relay.write("heard"), relay.write("not heard")] == [5, 9]
    assert words.put_in == ["heard"]


def test_what_is_done_is_what_was_known_when_the_board_died(monkeypatch: pytest.MonkeyPatch) -> None:
    def get(reference: Any) -> int:
        if reference is None:
            raise ActorDiedError
        return int(reference)

    monkeypatch.setattr(foundations, "ray", SimpleNamespace(get=get))
    boards = [SimpleNamespace(done=SimpleNamespace(remote=lambda answer=answer: answer)) for answer in (500, None)]
    done = [foundations._done(board, 300) for board in boards]
    assert done == [500, 300]


def test_what_the_driver_alone_uses_is_on_its_node(monkeypatch: pytest.MonkeyPatch) -> None:
    context = SimpleNamespace(get_node_id=lambda: "ab" * 28)
    monkeypatch.setattr(cluster, "ray", SimpleNamespace(get_runtime_context=lambda: context))
    options = cluster.beside_the_driver()
    assert options["num_cpus"] == 0
    assert (options["scheduling_strategy"].node_id, options["scheduling_strategy"].soft) == ("ab" * 28, False)
