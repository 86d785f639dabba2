from pathlib import Path

import pytest

from afrl_ray.config import ConfigError, load_experiment
from afrl_ray.pipeline.reference_returns import check_reference_returns
from afrl_ray.pipeline.run import run_experiment

PENDULUM = "environment.id=Pendulum-v1"
ADAPTIVE = "curriculum.type=adaptive"


@pytest.mark.parametrize(
    "overrides",
    [
        [ADAPTIVE],
        ["search.space={curriculum: [{q: 0.2}, {type: adaptive, beta: 0.1}]}"],
        ["search.space={curriculum.type: [linear, adaptive]}"],
        [ADAPTIVE, "search.space={curriculum.beta: [0.1, 0.3]}"],
    ],
)
def test_adaptive_is_refused_without_reference_returns(overrides: list[str]) -> None:
    with pytest.raises(ConfigError, match=r"Pendulum-v1 has no reference returns .*/robots\.py, or write"):
        check_reference_returns(load_experiment(None, [PENDULUM, *overrides]))
    check_reference_returns(load_experiment(None, ["environment.id=Ant-v5", *overrides]))


@pytest.mark.parametrize("text", ["", "curriculum: {type: linear}", "{curriculum: {type: adaptive}, SEARCH}"])
def test_other_curricula_need_none(text: str, tmp_path: Path) -> None:
    file = tmp_path / "pendulum.yaml"
    file.write_text(text.replace("SEARCH", "search: {space: {curriculum.type: [fixed, linear]}}"))
    check_reference_returns(load_experiment(file if text else None, [PENDULUM]))


def test_nothing_is_begun(tmp_path: Path) -> None:
    output = tmp_path / "run"
    with pytest.raises(ConfigError, match="Pendulum-v1 has no reference returns"):
        run_experiment(load_experiment(None, [PENDULUM, ADAPTIVE, f"output={output}"]))
    assert not output.exists()


def test_a_misspelt_robot_is_named() -> None:
    settings = load_experiment(None, ["environment.id=hoper", "curriculum.type=adaptive"])
    with pytest.raises(ConfigError, match=r"environment\.id=hoper: no robot of this name .*; did you mean hopper"):
        check_reference_returns(settings)
