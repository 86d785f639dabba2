"""Searches whose driver is killed in the middle: the same command goes on with what is left of them."""

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from afrl_ray.pipeline.artifacts import read_json
from experiments import afrl_command, tiny_experiment, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.cluster]

SEARCHES = {
    "asha": "{method: random, samples: 5, scheduler: asha, grace_evaluations: 1, space: SPACE}",
    "optuna": "{method: optuna, samples: 4, space: SPACE}",
    "pbt": "{method: random, samples: 2, scheduler: pbt, exploit_evaluations: 1, space: SPACE}",
}
SPACE = "{curriculum.q: {uniform: [0.0, 1.0]}}"


@pytest.mark.parametrize("kind", ["asha", pytest.param("optuna", marks=pytest.mark.long), "pbt"])
def test_a_killed_search_goes_on(kind: str, tmp_path: Path) -> None:
    if kind == "optuna":
        pytest.importorskip("optuna")
    output, config = tmp_path / "out", tmp_path / "search.yaml"
    sections = [f"search: {SEARCHES[kind].replace('SPACE', SPACE)}", f"output: {output}", "tracking: {enabled: false}"]
    if kind != "pbt":
        sections.append("runtime: {trials_at_once: 1}")
    config.write_text(tiny_experiment(*sections, steps=1500))

    def curves() -> dict[str, list[dict[str, float]]]:
        return {file.parent.name: json.loads(file.read_text()) for file in output.glob("runs/*/curve.json")}

    def is_under_way() -> bool:
        found = [len(curve) for curve in curves().values()]
        return sum(found) > 6 and (kind != "asha" or (output / "finetune" / "stopped.json").exists())

    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            afrl_command("run", config), start_new_session=True, stdout=log, stderr=subprocess.STDOUT
        )
        wait_for(is_under_way, process)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    before, stopped = curves(), read_json(output / "finetune" / "stopped.json") or {}
    done = subprocess.run(afrl_command("run", config), capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr
    after = curves()
    assert before.keys() <= after.keys()
    for key in stopped:  # not a step more
        assert after[key] == before[key]
    assert (read_json(output / "finetune" / "stopped.json") or {}).items() >= stopped.items()
    trials = read_json(output / "finetune" / "manifest.json")["outputs"]["trials"]
    assert {trial["folder"] for trial in trials} == after.keys()
    for key in after.keys() - (read_json(output / "finetune" / "stopped.json") or {}).keys():
        steps = [row["env_steps"] for row in after[key]]
        assert steps == sorted(set(steps)), key
        assert steps[-1] >= 1500
