"""Searches that a kill interrupts."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from afrl_ray.attacks import AttackBank
from afrl_ray.config import ExperimentSettings, with_settings
from afrl_ray.networks import Policy
from afrl_ray.perturbations import Body, Fault
from afrl_ray.pipeline import attack
from afrl_ray.pipeline.experiment import Experiment
from afrl_ray.rollouts import Candidate, CandidateEpisodes, LocalRollouts, resumable

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
    monkeypatch.setattr(resumable, "_WRITE_INTERVAL", -1.0)
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


def test_an_attack_is_on_the_body_that_it_is_measured_with(monkeypatch: pytest.MonkeyPatch) -> None:
    """A policy from scratch has no σ of its own: its observations are disturbed by the pretrained policy's."""
    noise = {"perturbation.fault.type": "observation_noise"}
    experiment = Experiment(with_settings(ExperimentSettings(), {**SMALL, **noise}))
    scratch, pretrained = (Policy(11, -np.ones(3), np.ones(3), (8,)) for _ in range(2))
    pretrained.normalizer.set_statistics(np.zeros(11), np.full(11, 0.2))
    searched = []

    def search(_runner: object, _settings: object, fault: Fault, *_: object) -> None:
        searched.append(fault.body.observation_std)
        raise Killed

    monkeypatch.setattr(attack, "DistributedRollouts", lambda *_: None)
    monkeypatch.setattr(attack, "search_attacks", search)
    for body in (Body.of(pretrained), None):
        with pytest.raises(Killed):
            attack.make_bank(experiment, scratch, "adaptive scratch", 1, body=body)
    np.testing.assert_array_equal(searched, np.array([[0.2] * 11, [1.0] * 11], np.float32))
