"""The import contracts of pyproject.toml cover the whole package; `lint-imports` checks what they say."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(("library", "owner"), [("nevergrad", "attacks"), ("mlflow", "tracking")])
def test_a_library_of_one_package_is_forbidden_in_all_others(library: str, owner: str) -> None:
    tomllib = pytest.importorskip("tomllib")  # Python 3.11
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    covered = {
        module
        for contract in contracts
        if library in contract.get("forbidden_modules", ())
        for module in contract["source_modules"]
    }
    entries = [path for path in (ROOT / "afrl_ray").iterdir() if not path.name.startswith("_")]
    modules = {f"afrl_ray.{path.stem}" for path in entries if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert modules - covered == {f"afrl_ray.{owner}"}
