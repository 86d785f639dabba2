"""The JSON schema of `afrl config schema`, as an editor applies it."""

import json
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from afrl_ray.cli import main
from afrl_ray.config import FAULTS, ConfigError, ExperimentSettings, load_experiment
from afrl_ray.config.yaml_file import read_settings_file

FILES = sorted((Path(__file__).parents[2] / "tune_configs").rglob("*.y*ml"))
VALIDATOR = Draft202012Validator(ExperimentSettings.model_json_schema())

RIGHT = (
    "pretrain: {algorithm: {critic_layer_norm: true}}\nfinetune: {algorithm: {critic_layer_norm: true}}",
    "pretrain: {algorithm: {type: iql}}\nfinetune: {algorithm: {type: sac}}",
    "curriculum: {q: 0.2}",
    "data: {}",
    "data: {type: d4rl, dataset: hopper-expert-v2}",
    "search: {space: {curriculum: [{type: fixed, q: 0.2}, {type: adaptive}], seed: [0, 1]}}",
    "search: {method: random, samples: 4, space: {curriculum.q: {uniform: [0.1, 0.9]}}}",
    "evaluation: {conditions: [normal, {name: late, fault: {type: delay, magnitude: 2}}]}",
    "search: null",
)
WRONG = (
    "pretrain: {algorithm: {exploration_noise: 0.2}}",
    "pretrain: {algorithm: {expectile: 0.8}}",
    "pretrain: {algorithm: {type: td3}}",
    "curriculum: {beta: 0.3}",
    "data: {dataset: hopper-expert-v2}",
    "data: {type: minari}",
    "finetune: {steps: many}",
    "finetun: {steps: 5}",
    "perturbation: {fault: {type: dead_jiont}}",
    "evaluation: {conditions: []}",
    "evaluation: {conditions: [nomral]}",
    "attack: {validation_bank: 0}",
    "search: {}",
    "search: {space: {}}",
    "search: {space: {curriculum.q: 0.5}}",
)


def test_the_command_prints_a_valid_schema(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    Draft202012Validator.check_schema(schema)
    assert schema == VALIDATOR.schema


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_it_allows_every_file_of_the_project(path: Path) -> None:
    VALIDATOR.validate(read_settings_file(path))


@pytest.mark.parametrize("text", RIGHT)
def test_it_allows_what_loading_allows(text: str, tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text(text)
    load_experiment(tmp_path / "x.yaml")
    assert VALIDATOR.is_valid(yaml.safe_load(text))


@pytest.mark.parametrize("text", WRONG)
def test_it_refuses_what_loading_refuses(text: str, tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(ConfigError):
        load_experiment(tmp_path / "x.yaml")
    assert not VALIDATOR.is_valid(yaml.safe_load(text))


def test_it_allows_all_defaults_written_out() -> None:
    VALIDATOR.validate(ExperimentSettings().model_dump(mode="json"))


def test_it_lists_the_faults() -> None:
    assert ExperimentSettings.model_json_schema()["$defs"]["FaultSettings"]["properties"]["type"]["enum"] == [*FAULTS]
