"""`afrl submit` and `afrl jobs` as far as they go without a cluster."""

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from afrl_ray.cli import main
from afrl_ray.cli.parser import parse_arguments

VERBS = ("list", "status", "logs", "stop", "resume")


@pytest.fixture(autouse=True)
def no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS"):
        monkeypatch.setenv(name, "")  # so that whatever is set later goes away with the test
        monkeypatch.delenv(name)


@pytest.mark.parametrize("command", ["submit", "jobs", *(f"jobs {verb}" for verb in VERBS)])
def test_help_has_examples(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_info:
        main([*command.split(), "--help"])
    assert exit_info.value.code == 0
    assert f"examples:\n  afrl {command}" in capsys.readouterr().out


def test_without_a_cluster_submit_is_run(
    config: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ran: list[Any] = []
    module = ModuleType("afrl_ray.pipeline.run")
    finished = SimpleNamespace(summary={"offline": 1}, pretrain=None, attack=None, finetune=None, evaluation=None)
    module.run_experiment = lambda settings, until: ran.append((settings.seed, until)) or finished  # type: ignore[attr-defined]
    module.report = lambda _finished: None  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    assert main(["submit", config, "seed=4", "--json"]) == 0
    assert ran == [(4, "evaluation")]
    printed = capsys.readouterr()
    assert printed.out == '{"offline": 1}\n'
    assert printed.err == "no --address given: running here\n"


@pytest.mark.parametrize("verb", VERBS)
def test_the_other_commands_need_one(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["jobs", verb, *([] if verb == "list" else ["some-id"])]) == 2
    assert capsys.readouterr().err == (
        "error: no cluster: add --address http://HOST:8265, or set RAY_API_SERVER_ADDRESS\n"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["submit", "none.yaml", "--address", "http://127.0.0.9:1"], "none.yaml: there is no such file"),
        (["submit", "x.yaml", "--address", "head"], "--address head: write http://HOST:8265"),
        (["submit", "x.yaml", "--address", "http://127.0.0.9:1", "--id", "a b"], "--id a b: write up to 100 letters"),
        (["submit", "x.yaml", "--address", "http://127.0.0.9:1"], "no cluster answers at http://127.0.0.9:1: "),
        (["jobs", "list", "--address", "http://127.0.0.9:1"], "no cluster answers at http://127.0.0.9:1: "),
        (["jobs", "status"], "the following arguments are required: ID"),
    ],
)
def test_mistakes_are_one_line(
    arguments: list[str], message: str, config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        status = main(arguments)
    except SystemExit as exit_info:
        status = int(exit_info.code or 0)
    error = capsys.readouterr().err
    assert (status, len(error.splitlines())) == (2, 1)
    assert error.startswith(f"error: {message}")
    assert config


def test_overrides_may_stand_anywhere() -> None:
    parsed = parse_arguments(["submit", "x.yaml", "--id", "mine", "seed=1", "--autoscaling", "name=y"])
    assert (parsed.id, parsed.autoscaling, parsed.overrides) == ("mine", True, ["seed=1", "name=y"])
