"""`afrl attack` and `afrl evaluate` on checkpoints, with the pipeline replaced by recorders."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from afrl_ray.cli import main


def test_attack_on_a_checkpoint(config: str, calls: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    Path("policy").touch()
    arguments = ["attack", "policy", "--env", "hopper", "--epsilon", "0.2", "--seed", "7", "--searches", "4"]
    assert main([*arguments, "--output", "bank.npz", "attack.generations=2", "--json"]) == 0
    (call,) = calls
    checkpoint, settings, output = call.arguments
    assert (call.function, checkpoint, output) == ("attack_checkpoint", Path("policy"), Path("bank.npz"))
    assert (settings.environment.id, settings.perturbation.epsilon, settings.seed) == ("hopper", 0.2, 7)
    assert (settings.attack.training_bank, settings.attack.generations) == (4, 2)
    assert json.loads(capsys.readouterr().out) == {"bank": "bank.npz"}
    assert config


@pytest.mark.usefixtures("config", "calls")
@pytest.mark.parametrize(
    ("output", "promise"), [([], "begins anew"), (["--output", "bank.npz"], "continues where this one stopped")]
)
def test_an_interrupted_attack_on_a_checkpoint_promises_to_go_on_only_where_it_has_a_file(
    output: list[str], promise: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sys.modules["afrl_ray.pipeline.attack"], "attack_checkpoint", interrupt)
    Path("policy").touch()
    assert main(["attack", "policy", "--env", "hopper", *output]) == 130
    assert capsys.readouterr().err == f"interrupted: the same command {promise}\n"


def test_evaluating_checkpoints(config: str, calls: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a", "b", "bank.npz"):
        Path(name).touch()
    arguments = ["evaluate", "a", "b", "--env", "Ant-v4", "--bank", "bank.npz", "--episodes", "9"]
    assert main([*arguments, "evaluation.conditions=[normal, adversarial]"]) == 0
    (call,) = calls
    checkpoints, settings, banks, critic, output = call.arguments
    assert (checkpoints, banks, critic, output) == (
        [Path("a"), Path("b")],
        [Path("bank.npz")],
        None,
        Path("evaluation"),
    )
    assert (settings.environment.id, settings.evaluation.episodes) == ("Ant-v4", 9)
    assert settings.evaluation.conditions == ("normal", "adversarial")
    assert capsys.readouterr().out == "| policy | normal |\n| --- | ---: |\n| a | 98.8 |\n"
    assert config


def test_an_evaluation_prints_json_that_is_json(
    config: str, calls: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("a").touch()
    assert main(["evaluate", "a", "--env", "hopper", "--output", "out", "--json"]) == 0
    printed = capsys.readouterr().out
    assert "NaN" not in printed
    assert json.loads(printed) == {"a": {"normal": {"mean": 98.76, "se": None, "n": 1}}}
    assert calls[0].arguments[-1] == Path("out")
    assert config


@pytest.mark.parametrize(
    ("words", "is_asked"),
    [([], False), (["--adaptive-attack"], True), (["evaluation.adaptive_attack=true"], True)],
)
def test_checkpoints_are_attacked_afresh_when_asked(
    words: list[str], is_asked: bool, config: str, calls: list[Any]
) -> None:
    Path("a").touch()
    assert main(["evaluate", "a", "--env", "hopper", *words]) == 0
    assert calls[0].arguments[1].evaluation.adaptive_attack is is_asked
    assert config


def test_an_evaluation_replaces_only_an_evaluation(
    config: str, calls: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("a").touch()
    folder = Path("evaluation")
    command = ["evaluate", "a", "--env", "hopper"]
    folder.mkdir()
    assert main(command) == 0
    (folder / "adaptive_banks").mkdir()
    assert main(command) == 0  # an interrupted one
    (folder / "notes.txt").touch()
    assert main(command) == 2
    (folder / "summary.json").touch()
    assert main(command) == 0
    (folder / "started.json").touch()
    assert main(command) == 2
    assert main([*command, "--output", config]) == 2
    assert main([*command, "--output", f"{config}/out"]) == 2
    assert capsys.readouterr().err == (
        "error: evaluation holds something else than an evaluation; name another folder with --output DIR\n"
        "error: evaluation is a stage of an experiment; name another folder with --output DIR\n"
        "error: x.yaml is a file; name another folder with --output DIR\n"
        f"error: x.yaml/out/summary.json cannot be written: {Path(config).absolute()} is not a folder that you may "
        "write to\n"
    )
    assert len(calls) == 3


@pytest.mark.parametrize(
    ("output", "line"),
    [
        ("bank.json", "--output bank.json: a bank is an npz file; write bank.npz"),
        ("bank", "--output bank: a bank is an npz file; write bank.npz"),
        (".", "--output . is a folder; write a file in it, such as bank.npz"),
        ("policy/bank.npz", "policy/bank.npz cannot be written: {here}/policy is not a folder that you may write to"),
    ],
)
def test_a_bank_is_written_where_it_can_be(
    output: str, line: str, config: str, calls: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("policy").touch()
    assert main(["attack", "policy", "--env", "hopper", "--output", output]) == 2
    assert capsys.readouterr().err == f"error: {line.format(here=Path.cwd())}\n"
    assert main(["attack", "policy", "--env", "hopper", "--output", "new/bank.npz"]) == 0
    assert [call.arguments[-1] for call in calls] == [Path("new/bank.npz")]
    assert config
