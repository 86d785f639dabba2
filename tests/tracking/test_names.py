import math
from pathlib import Path

import numpy as np

from afrl_ray.config import ExperimentSettings
from afrl_ray.tracking.names import MAX_KEY, MAX_PARAMETER, entity_name, finite, flatten, result_metrics, text


def test_a_trial_s_result_becomes_named_metrics() -> None:
    result = {
        "env_steps": 5000,
        "q": np.float32(0.25),
        "smoothed_score": 0.4,
        "score": {"normal": 100.0, "random": 80.0, "adversarial": 60.0, "pgd": 50.0, "mean": 80.0},
        "critic_loss": math.nan,
        "actor_loss": None,
        "config": {"experiment": {}},
        "done": False,
    }
    assert result_metrics(result) == {
        "curriculum/q": 0.25,
        "curriculum/smoothed_score": 0.4,
        "score/normal": 100.0,
        "score/random": 80.0,
        "score/adversarial": 60.0,
        "score/pgd": 50.0,
        "score/mean": 80.0,
    }


def test_only_finite_numbers_are_metrics() -> None:
    values = {"a": 1, "b": math.nan, "c": -math.inf, "d": None, "e": "text", "f": np.float64(2.5)}
    assert finite(values) == {"a": 1.0, "f": 2.5}


def test_settings_become_dotted_parameters() -> None:
    settings = {"name": "run", "seed": 0, "search": None, "net": {"sizes": [256, 256], "empty": {}}, "on": True}
    assert flatten(settings) == {
        "name": "run",
        "seed": "0",
        "search": "null",
        "net.sizes": "[256, 256]",
        "net.empty": "{}",
        "on": "true",
    }


def test_a_resolved_experiment_is_flat() -> None:
    parameters = flatten(ExperimentSettings().model_dump(mode="json"))
    assert parameters["environment.id"] == "Hopper-v4"
    assert parameters["curriculum.type"] == "fixed"
    assert all(isinstance(value, str) for value in parameters.values())


def test_lengths_and_characters_are_mlflow_s() -> None:
    assert flatten({"space": {"β²": "x" * 10_000}})["space.__"] == "x" * (MAX_PARAMETER - 1) + "…"
    assert len(entity_name("k" * 1000)) == MAX_KEY
    assert text([1, 2], 4) == "[1,…"
    assert text(Path("/a/b"), 9) == "/a/b"
