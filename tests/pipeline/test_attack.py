"""Searches that a kill interrupts."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from afrl_ray.attacks import AttackBank
from afrl_ray.config import ExperimentSettings, with_settings
from afrl_ray.networks import Policy
from afrl_ray.perturbations import Fault
from afrl_ray.pipeline import attack
from afrl_ray.pipeline.experiment import Experiment
from afrl_ray.rollouts import Candidate, CandidateEpisodes, LocalRollouts, kept

SMALL = {
    "environment.id": "hopper",
    "environment.max_episode_steps": 20,
    "attack.population": 4,
    "attack.generations": 4,
    "attack.episodes": 2,
}


class Killed(Exception):
    pass


class Mortal:
    """Plays, but no more than so many rounds."""

    def __init__(self, runner: LocalRollouts, rounds: float) -> None:
        self.runner = runner
        self.left = rounds
        self.played = 0

    def play(self, candidates: Sequence[Candidate], fault: Fault | None = None) -> list[CandidateEpisodes]:
        if self.played >= self.left:
            raise Killed
        self.played += 1
        return self.runner.play(candidates, fault)


def test_an_interrupted_bank_is_the_one_that_was_never_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "_WRITE_INTERVAL", -1.0)
    experiment = Experiment(with_settings(ExperimentSettings(), SMALL))
    torch.manual_seed(0)
    policy = Policy(11, -np.ones(3), np.ones(3), (8,))

    def make(path: Path, rounds: float) -> Mortal:
        runner = Mortal(LocalRollouts(policy, experiment.settings.environment), rounds)
        monkeypatch.setattr(attack, "DistributedRollouts", lambda *_: runner)
        kept_times.clear()
        attack.make_bank_file(path, experiment, policy, "training", 2, keep=lambda: kept_times.append(None))
        return runner

    kept_times: list[None] = []
    whole = make(tmp_path / "whole.npz", np.inf)
    assert len(kept_times) == whole.played + 1
    with pytest.raises(Killed):
        make(tmp_path / "bank.npz", 3)
    assert [file.name for file in tmp_path.glob("bank*")] == ["bank.plays.npz"]
    rest = make(tmp_path / "bank.npz", np.inf)
    assert rest.played == whole.played - 3
    one, other = (AttackBank.load(tmp_path / name) for name in ("whole.npz", "bank.npz"))
    assert one.manifest() == other.manifest()
    np.testing.assert_array_equal(one.deltas, other.deltas)
    assert {file.name for file in tmp_path.glob("*bank*")} == {"bank.npz", "bank.json"}
