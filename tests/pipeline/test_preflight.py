from pathlib import Path

import pytest

import afrl_ray
from afrl_ray.config import load_experiment
from afrl_ray.pipeline.experiment import Experiment
from afrl_ray.pipeline.preflight import preflight
from afrl_ray.pipeline.run import run_experiment

HOPPER = Path(afrl_ray.__file__).parent / "assets" / "experts" / "hopper.safetensors"
MISTAKES = {
    "a robot without a bound": (
        ["environment.id=InvertedPendulum-v4"],
        r"InvertedPendulum-v4 has no default bound; set perturbation\.epsilon",
    ),
    "only a condition needs the bound": (
        [
            "environment.id=InvertedPendulum-v4",
            "perturbation.fault.type=bias",
            "evaluation.conditions=[normal, {name: weak, fault: {type: multiplicative}}]",
        ],
        r"InvertedPendulum-v4 has no default bound; set perturbation\.epsilon",
    ),
    "a misspelt optimizer": (
        ["attack.optimizer=CMAA"],
        r"attack\.optimizer=CMAA is not known to nevergrad; near: .*CMA",
    ),
    "a policy of another robot": (
        ["environment.id=ant", f"data.policy={HOPPER}"],
        r"data\.policy takes 11 observations and gives 3 actions, but ant has 27 and 8",
    ),
    "no policy to roll out": (["data.policy=nothing.safetensors"], r"nothing\.safetensors"),
    "no file of this name": (["data={type: d4rl, dataset: some/where.hdf5}"], r"no D4RL file at .*some/where\.hdf5"),
    "nearly DE": (["attack.optimizer=DDE"], "near: DE$"),
    "nothing like an optimizer": (
        ["attack.optimizer='?'"],
        r"attack\.optimizer=\? is not known to nevergrad; write DE$",
    ),
    "an unknown environment": (["environment.id=Hoper-v9", "perturbation.epsilon=0.1"], "Hoper"),
    "more dead joints than joints": (
        ["environment.id=hopper", "evaluation.conditions=[{name: dead, fault: {type: dead_joint, magnitude: 4}}]"],
        "4 dead joints are more than the 3 that this robot has",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_an_experiment_with_a_late_mistake_does_not_begin(mistake: str, tmp_path: Path) -> None:
    overrides, message = MISTAKES[mistake]
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        run_experiment(load_experiment(None, [f"output={tmp_path / 'run'}", *overrides]))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("below", ["", "/run"])
def test_a_file_is_no_output(below: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"^output=.*: .*/file is a file; write output=FOLDER$"):
        run_experiment(load_experiment(None, [f"output={tmp_path}/file{below}"]))


@pytest.mark.parametrize(
    "overrides",
    [
        ["environment.id=hopper", "attack.optimizer=CMA"],
        ["environment.id=InvertedPendulum-v4", "perturbation.epsilon=0.2"],
        ["environment.id=InvertedPendulum-v4", "perturbation.fault.type=bias"],
    ],
)
def test_what_can_be_run_passes(overrides: list[str]) -> None:
    preflight(Experiment(load_experiment(None, overrides)))
