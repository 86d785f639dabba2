"""What fine-tunings start from, several at once."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from afrl_ray.cli import _message
from afrl_ray.pipeline.data import load_data, make_data
from afrl_ray.studies.collect import foundation_of
from afrl_ray.studies.expand import expand
from afrl_ray.studies.foundations import Foundation, make_pretrained
from afrl_ray.studies.plan import Plan

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
