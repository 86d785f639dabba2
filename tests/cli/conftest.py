import math
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A settings file in the current folder."""
    monkeypatch.chdir(tmp_path)
    Path("x.yaml").write_text("seed: 3\n")
    return "x.yaml"


@dataclass
class Call:
    function: str
    arguments: tuple[Any, ...]
    options: dict[str, Any]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Call]:
    """Calls of the pipeline, whose modules are replaced: nothing is trained and Ray is not imported."""
    recorded: list[Call] = []

    def recorder(name: str, answer: Any) -> Any:
        def record(*arguments: Any, **options: Any) -> Any:
            recorded.append(Call(name, arguments, options))
            return answer

        return record

    stage = SimpleNamespace(directory=Path("runs/x/stage"))
    finished = SimpleNamespace(pretrain=stage, attack=stage, finetune=None, evaluation=None, summary=None)
    record = {"robot": "hopper", "seed": 1, "chosen_at_step": 5, "score": {"mean": 99.0}, "curve": [1, 2]}
    modules = {
        "run": {"run_experiment": finished, "report": None},
        "attack": {"attack_checkpoint": {"bank": "bank.npz"}},
        "checkpoints": {"evaluate_checkpoints": {"a": {"normal": {"mean": 98.76, "se": math.nan, "n": 1}}}},
        "expert": {"train_expert": record},
    }
    for module_name, functions in modules.items():
        module = ModuleType(f"afrl_ray.pipeline.{module_name}")
        for name, answer in functions.items():
            setattr(module, name, recorder(name, answer))
        monkeypatch.setitem(sys.modules, module.__name__, module)
    return recorded
