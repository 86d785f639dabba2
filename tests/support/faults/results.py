"""What an experiment leaves: rows, states, and what MLflow has."""

import json
import pickle
import re
import sqlite3
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from trial_folders import LEARNER, checkpoints, replay_rows, trial_names, trial_of

_NOT_REPEATABLE = ("time/",)


@dataclass(frozen=True)
class Results:
    """The output folder of an experiment, and MLflow's database."""

    output: Path
    database: Path

    def curves(self) -> dict[str, list[dict[str, Any]]]:
        """Every trial's evaluation rows, from the last checkpoint."""
        folders = checkpoints(self.output)
        return {trial_of(folder): json.loads((folder / "training.json").read_text())["curve"] for folder in folders}

    def trial_names(self) -> list[str]:
        """In the order in which the search made the trials."""
        return trial_names(self.output)

    def states(self) -> dict[str, Any]:
        """Everything that decides how each trial would go on: networks, optimizers, generators, replay, curriculum."""
        return {trial_of(folder): _state(folder) for folder in checkpoints(self.output)}

    def logged(self) -> Counter[tuple[str, str, int, float]]:
        """How often MLflow has each (run, metric, step, value), without what depends on the clock."""
        with sqlite3.connect(self.database) as database:
            rows = database.execute(
                "select runs.name, metrics.key, metrics.step, metrics.value from metrics join runs using (run_uuid)"
            ).fetchall()
        named = ((re.sub(r" \(\w+\)$", "", run), key, step, value) for run, key, step, value in rows)
        return Counter(row for row in named if not row[1].startswith(_NOT_REPEATABLE))

    def ended(self) -> dict[str, list[str]]:
        """The status in MLflow of every run, by name: of all of them where several have one name."""
        with sqlite3.connect(self.database) as database:
            rows = database.execute("select name, status from runs").fetchall()
        statuses: dict[str, list[str]] = {}
        for name, status in rows:
            statuses.setdefault(re.sub(r" \(\w+\)$", "", name), []).append(status)
        return statuses

    def trials_of_mlflow(self) -> Counter[tuple[str, int]]:
        """How often MLflow has each trial's row of each step."""
        return Counter({(run, step): n for (run, key, step, _), n in self.logged().items() if key == "score/mean"})


def _state(trial: Path) -> dict[str, Any]:
    learner = trial / LEARNER
    state: dict[str, Any] = {
        str(file.relative_to(learner)): pickle.loads(file.read_bytes())
        for file in learner.rglob("*.pkl")
        if file.name.endswith("state.pkl")
    }
    state["rows"] = replay_rows(trial)
    state["curve"] = json.loads((trial / "training.json").read_text())["curve"]
    return state


def differences(one: Any, other: Any, path: str = "") -> list[str]:
    """Where two nested states differ."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        found = [f"{path}/{key}" for key in one.keys() ^ other.keys()]
        return found + [
            d for key in one.keys() & other.keys() for d in differences(one[key], other[key], f"{path}/{key}")
        ]
    if isinstance(one, list | tuple) and isinstance(other, list | tuple) and len(one) == len(other):
        return [
            d for index, pair in enumerate(zip(one, other, strict=True)) for d in differences(*pair, f"{path}/{index}")
        ]
    if isinstance(one, torch.Tensor | np.ndarray):
        return [] if np.array_equal(np.asarray(one), np.asarray(other), equal_nan=True) else [path]
    same = type(one) is type(other) and (one == other or repr(one) == repr(other))
    return [] if same else [path]


def assert_as_undisturbed(results: Results, undisturbed: Results) -> None:
    """The same rows, each once, and the same state to the last bit."""
    assert results.curves() == undisturbed.curves()
    assert results.trial_names() == undisturbed.trial_names()
    assert differences(results.states(), undisturbed.states()) == []
    assert set(results.trials_of_mlflow().values()) == {1}
    trials = [name for name in undisturbed.ended() if "q=" in name or "beta=" in name]
    assert {row: n for row, n in results.logged().items() if row[0] in trials} == {
        row: n for row, n in undisturbed.logged().items() if row[0] in trials
    }
    assert trials
    assert {name: results.ended().get(name) for name in trials} == {name: ["FINISHED"] for name in trials}
