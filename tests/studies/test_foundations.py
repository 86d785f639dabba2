"""What fine-tunings start from, several at once."""

import os
import re
import signal
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from afrl_ray.cli import _message
from afrl_ray.pipeline.data import load_data, make_data
from afrl_ray.pipeline.foundation import Foundation
from afrl_ray.studies.collect import foundation_of
from afrl_ray.studies.expand import expand
from afrl_ray.studies.foundations import make_pretrained
from afrl_ray.studies.plan import Plan
from experiments import afrl_command, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("ray_session")]

SETTINGS = {
    "pretrain": {"updates": 20, "evaluation_interval": 20},
    "finetune": {"evaluation_interval": 100, "checkpoint_interval": 100},
    "tracking.enabled": False,
}


@pytest.fixture
def foundations(make_plan: Callable[..., Plan], tmp_path: Path) -> list[Foundation]:
    """Of two seeds."""
    cases = expand(make_plan(scale={"settings": {**SETTINGS, "data.transitions": 2_000}}))
    return [foundation_of(case, tmp_path / "together") for case in cases if not case.trained]


def test_several_data_sets_are_those_that_one_process_makes(foundations: list[Foundation], tmp_path: Path) -> None:
    make_pretrained(foundations)
    assert all(foundation.pretrain.finished() for foundation in foundations)
    fingerprints = [load_data(foundation.data).fingerprint() for foundation in foundations]
    alone = [make_data(Foundation(one.settings, tmp_path / "alone").experiment)[1].fingerprint() for one in foundations]
    assert fingerprints == alone
    assert fingerprints[0] != fingerprints[1]


def test_one_data_set_that_fails_ends_the_others_with_its_own_error(
    make_plan: Callable[..., Plan], tmp_path: Path
) -> None:
    for robot in ("hopper", "walker2d"):
        (tmp_path / f"{robot}.hdf5").write_bytes(b"half of it")
    data = {"type": "d4rl", "dataset": f"{tmp_path}/{{robot}}.hdf5"}
    plan = make_plan(scale={"settings": {**SETTINGS, "data": data}, "seeds": 1}, robots=("hopper", "walker2d"))
    foundations = [foundation_of(case, tmp_path / "stages") for case in expand(plan) if not case.trained]
    with pytest.raises(ValueError) as failure:
        make_pretrained(foundations)
    assert re.search(r"(hopper|walker2d)\.hdf5", _message(failure.value))
    assert "\n" not in _message(failure.value)
    assert not any(foundation.data.finished() for foundation in foundations)


@pytest.mark.cluster
@pytest.mark.long  # `make test` kills a fine-tuning
def test_interrupted_pretrainings_are_over_in_mlflow(tmp_path: Path) -> None:
    folder = tmp_path / "stopped" / "studies"
    study = tmp_path / "pair.yaml"
    study.write_text(
        "title: A pair\narms: {offline: {trained: false}}\nresults: [{type: scores}]\n"
        "settings: {pretrain.updates: 1_000_000, pretrain.evaluation_interval: 500}\n"
        "scales: {smoke: {steps: 200, seeds: 2}}\n"
    )
    log = (tmp_path / "log").open("w")
    process = subprocess.Popen(
        afrl_command("reproduce", study, "--scale", "smoke", "--output", folder, "tracking.enabled=true"),
        start_new_session=True,
        stdout=log,
        stderr=subprocess.STDOUT,
    )

    def scores() -> int:
        with suppress(sqlite3.OperationalError), sqlite3.connect(folder.parent / "mlflow.db") as database:
            (found,) = database.execute("select count(distinct run_uuid) from metrics where key = 'score/normal'")
            return int(found[0])
        return 0

    try:
        wait_for(lambda: scores() == 2, process)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    with sqlite3.connect(folder.parent / "mlflow.db") as database:
        statuses = [status for (status,) in database.execute("select status from runs")]
    assert sorted(statuses) == ["FINISHED", "FINISHED", "KILLED", "KILLED", "KILLED"]  # data; pretrainings and studies
