from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from afrl_ray.attacks.search import search_attacks
from afrl_ray.config import AttackSettings
from afrl_ray.perturbations import Body, Fault, Multiplicative
from afrl_ray.rollouts import Candidate, CandidateEpisodes, KeptRollouts, resumable

FAULT = Multiplicative(0.3, Body(-np.ones(3, np.float32), np.ones(3, np.float32), np.ones(11, np.float32)))
SETTINGS = AttackSettings(population=4, generations=5, episodes=3)
SEEDS = [1, 2]


class Killed(Exception):
    pass


class Played:
    """Returns drawn from the candidate; dies when asked for one round more than it `lives` for."""

    def __init__(self, lives: int | None = None) -> None:
        self.lives = lives
        self.rounds = 0

    def play(self, candidates: Sequence[Candidate], fault: Fault | None = None) -> list[CandidateEpisodes]:
        assert fault is FAULT
        if self.rounds == self.lives:
            raise Killed
        self.rounds += 1
        return [self._play(candidate) for candidate in candidates]

    def _play(self, candidate: Candidate) -> CandidateEpisodes:
        returns = [
            np.random.default_rng([int(seed), *candidate.delta.view(np.uint32)]).normal() for seed in candidate.seeds
        ]
        return CandidateEpisodes(np.array(returns) / 3, np.full(len(returns), 10), len(returns) > 2, 0.1)


@pytest.fixture(autouse=True)
def _written_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resumable, "_WRITE_INTERVAL", -1.0)


def search(runner: Played, file: Path, work: str = "hopper") -> list[tuple[object, ...]]:
    results = search_attacks(KeptRollouts(runner, file, work), SETTINGS, FAULT, SEEDS)
    return [(one.delta.tolist(), one.fitness, one.environment_steps, one.history, one.candidates) for one in results]


def interrupted(file: Path, after: int) -> Path:
    with pytest.raises(Killed):
        search(Played(after), file)
    return file


def test_a_search_goes_on_where_it_was_and_finds_the_same(tmp_path: Path) -> None:
    whole = Played()
    undisturbed = search(whole, tmp_path / "whole.npz")
    assert whole.rounds > 6
    file = interrupted(tmp_path / "plays.npz", 4)
    rest = Played()
    assert search(rest, file) == undisturbed
    assert rest.rounds == whole.rounds - 4
    again = Played(0)
    assert search(again, file) == undisturbed
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_other_work_and_damaged_files_are_not_read(tmp_path: Path) -> None:
    whole = Played()
    undisturbed = search(whole, tmp_path / "whole.npz")
    file = interrupted(tmp_path / "plays.npz", 4)
    other = Played()
    search(other, file, "ant")
    assert other.rounds == whole.rounds
    file.write_bytes(file.read_bytes()[:100])
    anew = Played()
    assert search(anew, file) == undisturbed
    assert anew.rounds == whole.rounds


def test_what_comes_after_another_question_is_forgotten(tmp_path: Path) -> None:
    file = interrupted(tmp_path / "plays.npz", 4)
    with pytest.raises(Killed):
        search_attacks(KeptRollouts(Played(1), file, "hopper"), SETTINGS, FAULT, [3])
    whole, rest = Played(), Played()
    assert search(rest, file) == search(whole, tmp_path / "whole.npz")
    assert rest.rounds == whole.rounds


def test_written_at_intervals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resumable, "_WRITE_INTERVAL", 1000.0)
    written: list[None] = []
    file = tmp_path / "plays.npz"
    search_attacks(KeptRollouts(Played(), file, "hopper", lambda: written.append(None)), SETTINGS, FAULT, SEEDS)
    assert not file.exists()
    assert written == []
