"""The examples of every --help: they can be parsed, and the files in them are there."""

import argparse
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from afrl_ray.cli.parser import build_parser, parse_arguments
from afrl_ray.config import load_experiment

ROOT = Path(__file__).parents[2]


def examples(parser: argparse.ArgumentParser) -> Iterator[str]:
    for line in (parser.epilog or "").splitlines():
        if line.strip().startswith("afrl ") and "COMMAND" not in line:
            yield line.strip()
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from examples(command)


EXAMPLES = list(dict.fromkeys(examples(build_parser())))


def test_there_are_examples() -> None:
    assert len(EXAMPLES) > 30


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_can_be_typed(example: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """YAML files in a folder are the project's, and their settings must load; files without one are the reader's."""
    monkeypatch.chdir(ROOT)
    words = shlex.split(example.partition(" > ")[0])[1:]
    files = [word for word in words if word.endswith(".yaml") and "/" in word]
    parse_arguments(words)
    for file in files:
        found = sorted(Path().glob(file))
        assert found, f"{file} is not there"
        for path in found:
            load_experiment(path, [word for word in words if "=" in word])
