import logging
import os
import pickle
import signal
import time
from collections.abc import Iterator
from itertools import count
from typing import Any

import numpy as np
import pytest
import ray
from ray.exceptions import GetTimeoutError, RayActorError
from ray.util.placement_group import placement_group, remove_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from afrl_ray.attacks import AttackBank, BankClient, BankSource
from afrl_ray.attacks import bank_actor as module
from afrl_ray.config import PGDSettings
from afrl_ray.curriculum.schedules import CurriculumState
from afrl_ray.networks import Critic, CriticGradients, ObservationNormalizer
from afrl_ray.perturbations import Body, Multiplicative

FAULT = Multiplicative(0.3, Body(-np.ones(2, np.float32), np.ones(2, np.float32), np.ones(5, np.float32)))
STATE = CurriculumState(q=0.4, average=0.8, evaluations=3)
NAMES = (f"bank-test-{number}" for number in count())


def equal(bank: AttackBank | None, other: AttackBank) -> bool:
    return bank is not None and bank.manifest() == other.manifest() and np.array_equal(bank.deltas, other.deltas)


def make_source(client: BankClient, q: float = 0.5) -> BankSource:
    return BankSource(client, "trial", "adversarial", CurriculumState(q))


# ---- without Ray: an actor that cannot be reached ------------------------------------------------------------------


@pytest.fixture(params=[RayActorError(), GetTimeoutError("too late"), ValueError("no such name")])
def unreachable(request: pytest.FixtureRequest, small_bank: AttackBank, monkeypatch: pytest.MonkeyPatch) -> BankClient:
    def fail(*_: Any, **__: Any) -> None:
        raise request.param

    client = BankClient("nowhere", small_bank, pause=0.0)
    monkeypatch.setattr(client, "_find", lambda: ray)
    monkeypatch.setattr(module.ray, "get", fail)
    for method in ("state", "set_state"):
        monkeypatch.setattr(ray, method, type("Method", (), {"remote": staticmethod(lambda *_: None)}), raising=False)
    return client


def test_a_client_goes_on_without_the_actor_and_says_so(
    unreachable: BankClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert unreachable.state("trial") is None
        assert unreachable.set_state("trial", STATE) is False
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == 2  # one each, however often it was tried
    assert "could not read q of trial trial, going on without" in messages[0]
    assert "could not set q of trial trial" in messages[1]


def test_an_actor_that_was_away_is_left_alone_for_a_while(
    small_bank: AttackBank, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Tune's loop and the env runners wait once, not at every result and sample call."""
    now, waited = 1000.0, []

    def wait_in_vain(_call: Any, timeout: float) -> None:
        waited.append(timeout)
        raise GetTimeoutError("too late")

    client = BankClient("nowhere", small_bank, timeout=10.0, pause=60.0)
    handle = type("Handle", (), {"remote": staticmethod(lambda *_: None)})
    monkeypatch.setattr(client, "_find", lambda: type("Actor", (), {"state": handle, "set_state": handle}))
    monkeypatch.setattr(module.ray, "get", wait_in_vain)
    monkeypatch.setattr(module.time, "monotonic", lambda: now)
    for _ in range(5):
        assert client.state("trial") is None
        assert client.set_state("trial", STATE) is False
    assert waited == [10.0]
    assert len(caplog.records) == 1
    now += 61.0
    monkeypatch.setattr(module.ray, "get", lambda _call, **_: (7, STATE))
    assert client.state("trial") == STATE


def test_a_state_that_the_actor_could_not_be_told_is_in_force_here(unreachable: BankClient) -> None:
    source = make_source(unreachable, q=0.5)
    assert source.known() is None
    assert source.tell(STATE) is False
    source.take_over(STATE)
    assert source.snapshot().q == STATE.q


def test_a_source_keeps_its_last_q_and_its_bank(unreachable: BankClient, small_bank: AttackBank) -> None:
    source = make_source(unreachable, q=0.5)
    for _ in range(3):
        snapshot = source.snapshot()
        assert (snapshot.condition, snapshot.q, snapshot.fault) == ("adversarial", 0.5, small_bank.fault)
        np.testing.assert_array_equal(snapshot.bank, small_bank.deltas)


def test_a_source_that_was_told_asks_nobody(small_bank: AttackBank, monkeypatch: pytest.MonkeyPatch) -> None:
    """An env runner that was started again since was not told, and asks each time."""
    asked: list[str] = []
    answers = [CurriculumState(q) for q in (0.1, 0.2, 0.3)]
    client = BankClient("told", small_bank)
    monkeypatch.setattr(BankClient, "state", lambda _self, trial: asked.append(trial) or answers[len(asked) - 1])
    told, again = make_source(client), make_source(client)
    told.take_over(CurriculumState(0.7))
    assert [told.snapshot().q for _ in range(5)] == [0.7] * 5
    assert asked == []
    assert [again.snapshot().q for _ in range(3)] == [0.1, 0.2, 0.3]
    assert asked == ["trial"] * 3
    told.take_over(STATE)
    assert told.snapshot().q == STATE.q


def test_a_source_passes_on_what_pgd_needs(unreachable: BankClient, small_bank: AttackBank) -> None:
    critic = CriticGradients(ObservationNormalizer(5), Critic(5, 2, (4,)))
    pgd = PGDSettings(steps=7)
    snapshot = BankSource(unreachable, "trial", "pgd", CurriculumState(0.5), pgd, critic).snapshot()
    assert (snapshot.condition, snapshot.pgd, snapshot.critic) == ("pgd", pgd, critic)
    assert snapshot.fault == small_bank.fault
    client = BankClient("somewhere", small_bank)
    travelled = pickle.loads(pickle.dumps(BankSource(client, "trial", "pgd", CurriculumState(0.5), pgd, critic)))
    assert travelled.critic is not None


def test_a_client_travels_without_its_connection(small_bank: AttackBank) -> None:
    client = BankClient("somewhere", small_bank, timeout=3.0)
    client._actor = lambda: "a handle that cannot be pickled"
    copy = pickle.loads(pickle.dumps(client))
    assert (copy.name, copy.timeout, copy._actor) == ("somewhere", 3.0, None)
    assert equal(copy.bank, small_bank)


# ---- with Ray ------------------------------------------------------------------------------------------------------


@pytest.fixture
def client(request: pytest.FixtureRequest, small_bank: AttackBank) -> Iterator[BankClient]:
    request.getfixturevalue("ray_session")
    client = BankClient(next(NAMES), small_bank, timeout=60.0)
    yield client
    client.kill()


def end_process(client: BankClient) -> None:
    """kill -9 of the actor's process."""
    pid = ray.get(client._find().__ray_call__.remote(lambda _: os.getpid()))
    os.kill(pid, signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_states_are_kept_by_trial(client: BankClient) -> None:
    assert client.state("one") is None
    assert client.set_state("one", STATE) is True
    assert client.set_state("two", CurriculumState(0.1)) is True
    assert client.state("one") == STATE
    assert client.state("two") == CurriculumState(0.1)
    client.set_state("one", CurriculumState(0.2))
    assert client.state("one").q == 0.2


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_every_process_reaches_the_same_actor(client: BankClient, small_bank: AttackBank) -> None:
    client.set_state("trial", STATE)

    @ray.remote(num_cpus=0)
    def elsewhere(travelled: BankClient) -> tuple[CurriculumState | None, AttackBank | None]:
        answers = travelled.state("trial"), travelled.bank
        travelled.set_state("trial", CurriculumState(0.9))
        return answers

    state, bank = ray.get(elsewhere.remote(client))
    assert state == STATE
    assert equal(bank, small_bank)
    assert client.state("trial") == CurriculumState(0.9)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_source_follows_what_the_scheduler_sets(client: BankClient) -> None:
    source = make_source(client, q=0.0)
    assert source.snapshot().q == 0.0  # nobody has set one yet
    client.set_state("trial", STATE)
    assert source.snapshot().q == 0.4
    assert source.last_state == STATE
    copy = pickle.loads(pickle.dumps(source))
    assert copy.snapshot().q == 0.4


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("end", [BankClient.kill, end_process])
def test_an_actor_that_died_comes_back_with_the_same_bank_and_the_draws_do_not_change(
    end: Any, client: BankClient, small_bank: AttackBank
) -> None:
    client.set_state("trial", STATE)
    source = make_source(client)

    def draws() -> np.ndarray:
        return source.snapshot().draw(200, FAULT, np.random.default_rng(0))

    before = draws()
    end(client)
    np.testing.assert_array_equal(draws(), before)
    assert source.last_state == STATE  # the new actor knows no state; the last one stays in force
    assert equal(ray.get(client._find().bank.remote()), small_bank)
    assert client.state("trial") is None
    assert client.set_state("trial", CurriculumState(0.7)) is True
    assert source.snapshot().q == 0.7


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_actor_outlives_the_trial_that_made_it(client: BankClient) -> None:
    """Trials end at different times, and their placement groups with them; the states of the others must not."""
    group = placement_group([{"CPU": 1}])
    strategy = PlacementGroupSchedulingStrategy(group, placement_group_capture_child_tasks=True)  # as Tune does

    @ray.remote(num_cpus=1, scheduling_strategy=strategy)
    class Trial:
        def begin(self, travelled: BankClient) -> bool:
            return travelled.set_state("other", STATE)

    trial = Trial.remote()
    assert ray.get(trial.begin.remote(client)) is True
    ray.kill(trial)
    remove_placement_group(group)
    time.sleep(2.0)  # Ray ends what a dead process owned a moment later
    assert client.state("other") == STATE
