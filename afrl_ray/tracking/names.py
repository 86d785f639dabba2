"""The names that parameters and metrics have in MLflow, chosen once."""

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

MAX_KEY = 250
MAX_PARAMETER = 6000
MAX_TAG = 8000

RESULT_METRICS: dict[tuple[str, ...], str] = {
    ("score", "normal"): "score/normal",
    ("score", "random"): "score/random",
    ("score", "adversarial"): "score/adversarial",
    ("score", "pgd"): "score/pgd",
    ("score", "mean"): "score/mean",
    ("best_score",): "score/best",
    ("best_env_steps",): "score/best_env_steps",
    ("q",): "curriculum/q",
    ("smoothed_score",): "curriculum/smoothed_score",
    ("curriculum_score",): "curriculum/score",
    ("episode_return_mean",): "episode/return",
    ("learner", "critic_loss"): "loss/critic",
    ("learner", "actor_loss"): "loss/actor",
    ("learner", "q_value_mean"): "value/q_mean",
    ("learner", "entropy"): "policy/entropy",
    ("learner", "temperature"): "policy/temperature",
    ("steps_per_second",): "time/steps_per_second",
    ("time_total_s",): "time/total_seconds",
}
"""Path in a trial's result -> metric."""


def result_metrics(result: Mapping[str, Any]) -> dict[str, float]:
    """The metrics in a trial's result, everything that its learner measured included; what is missing or not a finite
    number is left out."""
    metrics: dict[str, Any] = {
        f"learner/{name}": value
        for name, value in result.get("learner", {}).items()
        if ("learner", name) not in RESULT_METRICS
    }
    for path, name in RESULT_METRICS.items():
        value: Any = result
        for key in path:
            value = value.get(key) if isinstance(value, Mapping) else None
        metrics[name] = value
    return finite(metrics)


def finite(metrics: Mapping[str, Any]) -> dict[str, float]:
    """The entries that are finite numbers, as floats; NaN would break MLflow's charts, and None is no value yet."""
    numbers = {}
    for name, value in metrics.items():
        try:
            number = float(value)
        except (TypeError, ValueError):
            continue
        if math.isfinite(number):
            numbers[entity_name(name)] = number
    return numbers


def flatten(settings: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Dotted parameters of a nested mapping; text as it is, everything else as JSON, at most MLflow's lengths."""
    parameters: dict[str, str] = {}
    for key, value in settings.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            parameters.update(flatten(value, f"{name}."))
        else:
            parameters[entity_name(name)] = text(value, MAX_PARAMETER)
    return parameters


def text(value: Any, limit: int) -> str:
    """`value` as text of at most `limit` characters, cut visibly."""
    plain = str(value) if isinstance(value, str | Path) else json.dumps(value, default=str)
    return plain if len(plain) <= limit else f"{plain[: limit - 1]}…"


def entity_name(name: str) -> str:
    """`name` with what MLflow refuses in a key replaced by underscores."""
    return re.sub(r"[^\w\-./ ]", "_", name, flags=re.ASCII)[:MAX_KEY]
