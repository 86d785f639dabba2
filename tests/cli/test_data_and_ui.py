"""The commands that need no pipeline, as they are."""

import json
import subprocess
from pathlib import Path

import pytest

from afrl_ray.cli import main
from afrl_ray.datasets import Transitions
from afrl_ray.networks import Policy, save_policy_file


def test_data_is_described_and_written(config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_policy_file(Policy(3, [-2], [2], (4,)), tmp_path / "policy")
    overrides = ["environment.id=Pendulum-v1", "environment.max_episode_steps=20", "data.transitions=50"]
    assert main(["data", config, "--npz", "out.npz", "data.policy=policy", *overrides, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    transitions = Transitions.load(Path("out.npz"))
    assert printed == {
        "transitions": 50,
        "episodes": 2,
        "mean_return": pytest.approx(transitions.episode_returns().mean()),
        "fingerprint": transitions.fingerprint(),
        "npz": "out.npz",
    }


def test_data_can_become_a_minari_data_set(
    config: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("minari")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    save_policy_file(Policy(3, [-2], [2], (4,)), tmp_path / "policy")
    arguments = ["data", config, "environment.id=Pendulum-v1", "environment.max_episode_steps=20"]
    assert main([*arguments, "data.policy=policy", "data.transitions=50", "--minari", "mine-v0"]) == 0
    first = capsys.readouterr().out
    assert main([*arguments, "data={type: minari, dataset: mine-v0}"]) == 0
    fingerprints = [text.partition("fingerprint: ")[2].splitlines()[0] for text in (first, capsys.readouterr().out)]
    assert fingerprints[0] == fingerprints[1]


def test_ui_starts_mlflow_on_the_experiments_database(
    config: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(subprocess, "run", lambda command, **_: started.append(command))
    assert main(["ui", config, "--port", "5001", "tracking.uri=sqlite:///runs.db"]) == 0
    ((_, *command),) = started
    assert command[:3] == ["-m", "mlflow", "server"]
    assert f"sqlite:///{Path('runs.db').absolute()}" in command
    assert "5001" in command
    assert "http://127.0.0.1:5001" in capsys.readouterr().err
