"""An evaluation that a kill interrupts."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from afrl_ray.pipeline import evaluate


class Killed(Exception):
    pass


def test_policies_that_were_measured_are_not_measured_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[str] = []
    last = ["fixed q=0.5"]

    def measure_one(name: str, *_: Any) -> pd.DataFrame:
        if name in last:
            raise Killed
        measured.append(name)
        return pd.DataFrame({"policy": [name] * 2, "return": [0.1, float("nan")], "delta": [[1 / 3, 0.0], [0.5, 1.0]]})

    monkeypatch.setattr(evaluate, "_measure_one", measure_one)
    conditions: Any = SimpleNamespace()
    policies: dict[str, Any] = {"offline": None, "adaptive beta=0.1": None, "fixed q=0.5": None}
    kept: list[None] = []
    with pytest.raises(Killed):
        evaluate.measure(policies, conditions, {}, tmp_path / "measured", lambda: kept.append(None))
    assert len(kept) == 2
    last.clear()
    scores = evaluate.measure(policies, conditions, {}, tmp_path / "measured")
    assert measured == list(policies)
    pd.testing.assert_frame_equal(scores, evaluate.measure(policies, conditions, {}))
    assert scores["delta"].iloc[0] == [1 / 3, 0.0]
