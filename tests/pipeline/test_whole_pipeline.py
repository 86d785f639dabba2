"""The real pipeline on Hopper at tiny budgets, whole, interrupted and continued."""

import json
import os
import signal
import sqlite3
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from afrl_ray.attacks import AttackBank
from experiments import afrl_command, wait_for

SMOKE = Path(__file__).parents[2] / "tune_configs" / "hopper_smoke.yaml"
pytestmark = pytest.mark.slow


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(afrl_command(*arguments), capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done


def checkpoints(output: Path) -> list[dict[str, Any]]:
    """training.json of every trial of a finished experiment."""
    return [json.loads(file.read_text()) for file in sorted(output.glob("finetune/checkpoints/*/training.json"))]


def replay_rows(output: Path) -> list[int]:
    pattern = "finetune/checkpoints/*/algorithm/learner_group/learner/replay/rows.npy"
    return [len(np.load(file, mmap_mode="r")) for file in sorted(output.glob(pattern))]


def mlflow_runs(output: Path) -> list[tuple[str, str]]:
    """(name, status) of every run in the database beside the output folder."""
    with sqlite3.connect(output.parent / "mlflow.db") as database:
        return sorted(database.execute("select name, status from runs where lifecycle_stage = 'active'").fetchall())


def logged_twice(output: Path) -> list[Any]:
    with sqlite3.connect(output.parent / "mlflow.db") as database:
        query = "select run_uuid, key, step, count(*) from metrics group by run_uuid, key, step having count(*) > 1"
        return database.execute(query).fetchall()


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A complete run of the smoke experiment: its output folder, and the summary it printed last."""
    output = tmp_path_factory.mktemp("whole") / "run"
    done = run("run", SMOKE, f"output={output}", "--json")
    return output, json.loads(done.stdout.strip().splitlines()[-1])


def test_every_stage_leaves_what_it_promises(finished: tuple[Path, dict[str, Any]]) -> None:
    output, summary = finished
    assert summary == json.loads((output / "evaluation" / "summary.json").read_text())
    scores = pd.read_parquet(output / "evaluation" / "scores.parquet")
    wanted = {"policy", "condition", "seed", "episode", "return", "normalised_score", "length", "perturbed", "delta"}
    assert wanted <= set(scores.columns)
    policies = {"offline", "fixed q=0.5", "adaptive beta=0.3 kappa=0.6"}
    assert set(scores["policy"]) == set(summary) == policies
    assert set(summary["offline"]) == {"normal", "random", "adversarial", "mean"}
    for (policy, condition), rows in scores.groupby(["policy", "condition"]):
        assert len(rows) == 4
        assert summary[policy][condition]["mean"] == pytest.approx(rows["normalised_score"].mean())
    assert not scores.loc[scores["condition"] == "normal", "perturbed"].any()
    assert scores.loc[scores["condition"] == "adversarial", "perturbed"].all()
    for name in ("table.md", "curves.png", "scores.csv"):
        assert (output / "evaluation" / name).stat().st_size > 0


def test_banks_come_from_different_seeds(finished: tuple[Path, dict[str, Any]]) -> None:
    output, _ = finished
    banks = [AttackBank.load(output / "attack" / f"{name}.npz") for name in ("training", "validation", "evaluation")]
    seeds = [int(seed) for bank in banks for seed in bank.seeds]
    assert len(set(seeds)) == len(seeds) == 5
    assert len({bank.policy_hash for bank in banks}) == 1
    assert all(np.abs(bank.deltas).max() <= bank.fault.magnitude + 1e-6 for bank in banks)


def test_adaptive_q_moved_and_fixed_q_did_not(finished: tuple[Path, dict[str, Any]]) -> None:
    output, _ = finished
    curves = pd.read_csv(output / "evaluation" / "curves.csv")
    adaptive = curves[curves["trial"].str.startswith("adaptive")]
    assert (curves.loc[curves["trial"].str.startswith("fixed"), "q"] == 0.5).all()
    assert adaptive["q"].iloc[0] == 0
    assert adaptive["q"].max() > 0
    assert list(adaptive["env_steps"]) == [0, 500, 1000, 1500, 2000]


def test_a_second_call_keeps_everything(finished: tuple[Path, dict[str, Any]]) -> None:
    output, _ = finished
    before = mlflow_runs(output)
    kept = run("run", SMOKE, f"output={output}")
    for stage in ("data", "pretrain", "attack", "finetune", "evaluation"):
        assert f"{stage}: kept" in kept.stderr
    assert mlflow_runs(output) == before


@pytest.mark.cluster
@pytest.mark.long  # tests/integration/faults kill the driver of tinier experiments
@pytest.mark.parametrize("at_once", [pytest.param(2, id="all trials begun"), pytest.param(1, id="one trial not begun")])
def test_killed_and_resumed_ends_as_if_nothing_had_happened(
    at_once: int, finished: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    reference, _ = finished
    output = tmp_path / "run"
    sweep = afrl_command("sweep", SMOKE, f"output={output}", f"runtime.trials_at_once={at_once}")
    process = subprocess.Popen(
        sweep,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(
            lambda: len(list(output.glob("finetune/tune/trial_*/checkpoint_*/curriculum.json"))) > at_once, process
        )
    finally:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert len(list(output.glob("finetune/tune/trial_*"))) == at_once
    run(*sweep[3:])

    assert [trial["curve"] for trial in checkpoints(output)] == [trial["curve"] for trial in checkpoints(reference)]
    assert replay_rows(output) == replay_rows(reference) == [20_000 + 2_000] * 2
    trials = json.loads((output / "finetune" / "manifest.json").read_text())["outputs"]["trials"]
    assert [trial["name"] for trial in trials] == ["fixed q=0.5", "adaptive beta=0.3 kappa=0.6"]
    runs = mlflow_runs(output)
    assert len(runs) == len(mlflow_runs(reference))
    assert {status for _, status in runs} == {"FINISHED"}
    assert logged_twice(output) == []
