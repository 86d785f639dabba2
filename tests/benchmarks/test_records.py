"""What the benchmark scripts print. The measurements themselves need an idle machine and are no tests."""

import json
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"
PARSERS = ("parse_arguments(__doc__", "argument_parser(__doc__", "training_parser(__doc__", "record_parser(__doc__")
PAGES = ("compare_arms.py", "demo_results.py")
"""These write pages and print where they are."""
SCRIPTS = [path for path in sorted(FOLDER.glob("*.py")) if "__main__" in path.read_text() and path.name not in PAGES]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_every_script_that_prints_figures_takes_json(script: Path) -> None:
    text = script.read_text()
    assert any(parser in text for parser in PARSERS) or '"--json"' in text


@pytest.mark.parametrize("script", ["scale_study", "fault_table"])
def test_the_last_line_is_one_object(script: str, tmp_path: Path) -> None:
    (tmp_path / "worker.json").write_text('[{"passed": true, "seconds_to_recover": 3.5}, {"passed": false}]')
    words = [str(tmp_path)] if script == "fault_table" else ["--output", str(tmp_path / "record.json")]
    command = [sys.executable, str(FOLDER / f"{script}.py"), *words, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=FOLDER.parent)
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["name"] == script
    if script == "fault_table":
        assert result["faults"]["worker"] == {
            "times": 2,
            "passed": 1,
            "resumed": 0,
            "whole_intervals_repeated": None,
            "median_seconds": 3.5,
            "longest_seconds": 3.5,
        }
    else:
        assert result == json.loads((tmp_path / "record.json").read_text())


def test_a_record_is_one_line_where_json_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))
    from side_by_side import print_record, record_parser

    result = {"name": "x", "rows": [1, 2]}
    arguments = record_parser("").parse_args(["--json", "--output", str(tmp_path / "x.json")])
    print_record(result, arguments)
    line = capsys.readouterr().out
    assert line.startswith('{"name": "x", "rows": [1, 2], "commit": ')
    assert line.count("\n") == 1
    result = json.loads(line)
    assert json.loads((tmp_path / "x.json").read_text()) == result
    print_record(result, Namespace(json=False, output=None))
    printed = capsys.readouterr().out
    assert len(printed.splitlines()) > 1
    assert json.loads(printed) == result
