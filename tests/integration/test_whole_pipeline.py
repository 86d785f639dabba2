"""What a whole experiment leaves, of the one that the tests of faults compare theirs with."""

import json

import numpy as np
import pandas as pd
import pytest

from afrl_ray.attacks import AttackBank
from afrl_ray.cli import main
from afrl_ray.config import AdaptiveCurriculum
from faults.runs import INTERVAL, OFFLINE_ROWS, STEPS, LocalRun

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.long]


def test_every_stage_leaves_what_it_promises(undisturbed: LocalRun) -> None:
    folder = undisturbed.output / "evaluation"
    summary = json.loads((folder / "summary.json").read_text())
    scores = pd.read_parquet(folder / "scores.parquet")
    wanted = {"policy", "condition", "seed", "episode", "return", "normalised_score", "length", "perturbed", "delta"}
    assert wanted <= set(scores.columns)
    policies = {"offline", "fixed q=0.5", "adaptive beta=0.3 kappa=0.6"}
    assert set(scores["policy"]) == set(summary) == policies
    assert set(summary["offline"]) == {"normal", "random", "adversarial", "mean"}
    for (policy, condition), rows in scores.groupby(["policy", "condition"]):
        assert len(rows) == 2
        assert summary[policy][condition]["mean"] == pytest.approx(rows["normalised_score"].mean())
    assert not scores.loc[scores["condition"] == "normal", "perturbed"].any()
    assert scores.loc[scores["condition"] == "adversarial", "perturbed"].all()
    for name in ("table.md", "curves.png", "scores.csv"):
        assert (folder / name).stat().st_size > 0


def test_banks_come_from_different_seeds(undisturbed: LocalRun) -> None:
    files = [undisturbed.output / "attack" / f"{name}.npz" for name in ("training", "validation", "evaluation")]
    banks = [AttackBank.load(file) for file in files]
    seeds = [int(seed) for bank in banks for seed in bank.seeds]
    assert len(set(seeds)) == len(seeds) == 3
    assert len({bank.policy_hash for bank in banks}) == 1
    assert all(np.abs(bank.deltas).max() <= bank.fault.magnitude + 1e-6 for bank in banks)


def test_adaptive_q_follows_the_scores_and_fixed_q_stays(undisturbed: LocalRun) -> None:
    """Equations 9, 11 and 20 once more, by hand, from the scores that the run wrote down."""
    curves = pd.read_csv(undisturbed.output / "evaluation" / "curves.csv")
    rows = dict(iter(curves.groupby("trial")))
    (fixed,) = [part for name, part in rows.items() if name.startswith("fixed")]
    (adaptive,) = [part for name, part in rows.items() if name.startswith("adaptive")]
    assert (fixed["q"] == 0.5).all()
    assert list(adaptive["env_steps"]) == list(range(0, STEPS + 1, INTERVAL))
    expected, q, average = [], 0.0, 0.0
    for normal, adversarial in zip(adaptive["normal"], adaptive["adversarial"], strict=True):
        expected.append(q)
        before, average = average, 0.7 * average + 0.3 * ((1 - q) * normal + q * adversarial) / 100
        change = np.clip(0.6 * (average - before), -AdaptiveCurriculum().max_change, AdaptiveCurriculum().max_change)
        q = float(np.clip(q + change, 0, 1))
    assert list(adaptive["q"]) == pytest.approx(expected, abs=1e-9)
    assert len(set(adaptive["q"])) > 2


def test_replays_begin_with_the_offline_rows(undisturbed: LocalRun) -> None:
    replays = [state["rows"] for state in undisturbed.results.states().values()]
    assert [len(rows) for rows in replays] == [OFFLINE_ROWS + STEPS] * 2
    np.testing.assert_array_equal(replays[0][:OFFLINE_ROWS], replays[1][:OFFLINE_ROWS])
    assert not np.array_equal(replays[0][OFFLINE_ROWS:], replays[1][OFFLINE_ROWS:])


def test_a_second_call_keeps_everything_and_prints_the_summary(
    undisturbed: LocalRun, capsys: pytest.CaptureFixture[str]
) -> None:
    before = undisturbed.results.ended()
    assert main(["run", str(undisturbed.folder / "faults.yaml"), f"output={undisturbed.output}", "--json"]) == 0
    printed = capsys.readouterr()
    summary = json.loads((undisturbed.output / "evaluation" / "summary.json").read_text())
    assert json.loads(printed.out) == summary
    for stage in ("data", "pretrain", "attack", "finetune", "evaluation"):
        assert f"{stage}: kept" in printed.err
    assert undisturbed.results.ended() == before
