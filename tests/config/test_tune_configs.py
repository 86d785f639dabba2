"""Every YAML file that the project ships can be loaded."""

from pathlib import Path

import pytest

from afrl_ray.config import load_experiment

FILES = sorted((Path(__file__).parents[2] / "tune_configs").rglob("*.y*ml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_it_loads(path: Path) -> None:
    load_experiment(path)
