"""A small experiment that trains under PGD and is evaluated under other faults than it trained with."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from afrl_ray.attacks import AttackBank
from afrl_ray.cli import main
from afrl_ray.config import FaultSettings
from trial_folders import checkpoints, replay_rows

SETTINGS = """
environment: {id: hopper, max_episode_steps: 60}
data: {type: generated, transitions: 2_000}
pretrain:
  updates: 200
  evaluation_interval: 200
  evaluation_episodes: 1
  algorithm: {hidden_sizes: [32, 32]}
attack: {population: 4, generations: 1, episodes: 2, training_bank: 1, validation_bank: 1, evaluation_bank: 2}
perturbation: {condition: pgd, pgd: {steps: 2}}
curriculum: {type: fixed, q: 1.0}
finetune:
  algorithm: {hidden_sizes: [32, 32]}
  steps: 400
  evaluation_interval: 200
  checkpoint_interval: 200
  validation_episodes: 1
search: {space: {perturbation.pgd.critic: [pretrained, current]}}
evaluation:
  episodes: 3
  adaptive_attack: false
  conditions:
    - normal
    - adversarial
    - pgd
    - {name: dead joint, fault: {type: dead_joint}, condition: adversarial}
    - {name: noisy sensors, fault: {type: observation_noise, magnitude: 0.5}}
"""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.usefixtures("ray_session")]


def test_conditions_under_other_faults_and_trials_under_pgd(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.yaml").write_text(SETTINGS)
    output = tmp_path / "run"
    assert main(["--traceback", "run", str(tmp_path / "x.yaml"), f"output={output}", "--json"]) == 0
    summary = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    assert len(summary) == 3
    conditions = {"normal", "adversarial", "pgd", "dead joint", "noisy sensors", "mean"}
    assert all(set(estimates) == conditions for estimates in summary.values())
    scores = pd.read_parquet(output / "evaluation" / "scores.parquet")
    deltas = {name: np.stack(rows["delta"]) for name, rows in scores.groupby("condition")}
    assert {name: values.shape for name, values in deltas.items()} == {
        "normal": (9, 3),
        "adversarial": (9, 3),
        "pgd": (9, 3),
        "dead joint": (9, 3),
        "noisy sensors": (9, 11),
    }
    assert np.isnan(deltas["pgd"]).all()
    np.testing.assert_array_equal(np.sort(deltas["dead joint"], axis=1), [[-1, 0, 0]] * 9)
    assert deltas["noisy sensors"].max() > 0.3
    offline = scores[scores["policy"] == "offline"].set_index(["condition", "episode"])["return"]
    for name in conditions - {"normal", "mean"}:
        assert (offline[name] != offline["normal"]).any()

    bank = AttackBank.load(output / "attack_dead_joint_1" / "evaluation.npz")
    assert (bank.fault, len(bank)) == (FaultSettings(type="dead_joint", magnitude=1), 2)
    curves = [json.loads((one / "training.json").read_text())["curve"] for one in checkpoints(output)]
    assert len(curves) == 2
    for curve in curves:
        assert all(np.isfinite(row["pgd"]) for row in curve)  # validated under what they train with
    assert curves[0][0] == curves[1][0]  # the hand-over is the same
    replays = [replay_rows(one) for one in checkpoints(output)]
    assert [len(rows) for rows in replays] == [2_400, 2_400]
    assert np.array_equal(replays[0][:2_000], replays[1][:2_000])
    assert not np.array_equal(replays[0][2_000:], replays[1][2_000:])  # another critic, other faults
