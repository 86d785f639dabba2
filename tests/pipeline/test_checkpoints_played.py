"""One policy through `afrl attack` and `afrl evaluate`, for real and at tiny budgets."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import afrl_ray
from afrl_ray.attacks import AttackBank
from afrl_ray.cli import main

EXPERT = Path(afrl_ray.__file__).parent / "assets" / "experts" / "hopper.safetensors"
SMALL = ["environment.max_episode_steps=40", "attack.population=4", "attack.generations=1", "attack.episodes=2"]


@pytest.mark.slow
@pytest.mark.usefixtures("ray_session")
def test_a_bank_is_made_and_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    attack = ["attack", str(EXPERT), "--env", "hopper", "--epsilon", "0.2", "--searches", "1", "--output", "bank.npz"]
    assert main([*attack, *SMALL, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["fault"] == {"type": "multiplicative", "magnitude": 0.2}

    evaluate = ["evaluate", str(EXPERT), "--env", "hopper", "--bank", "bank.npz", "--episodes", "1"]
    assert main([*evaluate, "--adaptive-attack", "evaluation.adaptive_searches=1", *SMALL, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads(Path("evaluation/summary.json").read_text())
    assert set(printed["hopper"]) == {"normal", "random", "adversarial", "adaptive attack", "mean"}
    assert printed["hopper"]["normal"]["se"] is None

    scores = pd.read_parquet("evaluation/scores.parquet").set_index("condition")
    assert 0 < np.abs(scores.loc["random", "delta"]).max() <= np.float32(0.2)
    np.testing.assert_array_equal(scores.loc["adversarial", "delta"], AttackBank.load(Path("bank.npz")).deltas[0])
    own = AttackBank.load(Path("evaluation/adaptive_banks/hopper.npz"))
    np.testing.assert_array_equal(scores.loc["adaptive attack", "delta"], own.deltas[0])

    found = Path("evaluation/adaptive_banks/hopper.npz").stat().st_mtime_ns
    Path("evaluation/summary.json").unlink()  # as if it had been interrupted after the search
    adaptive = [*evaluate, "--adaptive-attack", *SMALL]
    assert main([*adaptive, "evaluation.adaptive_searches=1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == printed
    assert Path("evaluation/adaptive_banks/hopper.npz").stat().st_mtime_ns == found
    assert main([*adaptive, "evaluation.adaptive_searches=2"]) == 0
    assert len(AttackBank.load(Path("evaluation/adaptive_banks/hopper.npz")).deltas) == 2
    capsys.readouterr()

    assert main([*evaluate, *SMALL]) == 0  # over the earlier one
    assert capsys.readouterr().out.splitlines()[0] == "| policy | normal | random | adversarial | mean |"
    assert not Path("evaluation/adaptive_banks").exists()
    assert main([*evaluate, "--epsilon", "0.3", *SMALL]) == 2
    assert "bank.npz is for multiplicative 0.2" in capsys.readouterr().err
