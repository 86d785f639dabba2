"""The same settings give the same run, whatever command trains it and whatever length it had on the way."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from afrl_ray.config import ExperimentSettings, with_settings
from afrl_ray.networks import load_policy_file
from afrl_ray.pipeline.attack import attack
from afrl_ray.pipeline.experiment import Experiment
from afrl_ray.pipeline.finetune import finetune, finetune_stage, trial_outcomes
from afrl_ray.pipeline.pretrain import pretrain
from afrl_ray.pipeline.runs.run import TrainingRun
from afrl_ray.pipeline.runs.steering import SearchSteering, Steering
from afrl_ray.pipeline.runs.train import train

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("ray_session")]

SMALL = {"hidden_sizes": [16, 16], "batch_size": 16}
TINY: dict[str, Any] = {
    "environment": {"id": "Hopper-v4", "max_episode_steps": 30},
    "data": {"type": "generated", "transitions": 300},
    "pretrain": {
        "updates": 50,
        "evaluation_interval": 50,
        "evaluation_episodes": 1,
        "checkpoint_interval": 50,
        "algorithm": {"type": "td3_bc", **SMALL},
    },
    "attack": {
        "population": 4,
        "generations": 1,
        "episodes": 1,
        "training_bank": 2,
        "validation_bank": 1,
        "evaluation_bank": 1,
    },
    "finetune": {
        "steps": 400,
        "evaluation_interval": 100,
        "checkpoint_interval": 200,
        "validation_episodes": 1,
        "algorithm": {"type": "td3", **SMALL},
    },
    "curriculum": {"type": "adaptive", "beta": 0.3, "kappa": 5.0},
    "tracking": {"enabled": False},
}


def settings(folder: Path, **changes: Any) -> ExperimentSettings:
    base = ExperimentSettings.model_validate({**TINY, "output": str(folder)})
    return with_settings(base, {name.replace("__", "."): value for name, value in changes.items()})


def foundation_of(experiment: Experiment) -> tuple[Any, Any]:
    pretrained = pretrain(experiment)
    return pretrained, attack(experiment, pretrained)


def run_by_experiment(folder: Path, **changes: Any) -> list[TrainingRun]:
    """The runs that `afrl run` trains."""
    experiment = Experiment(settings(folder, **changes))
    pretrained, attacked = foundation_of(experiment)
    stage = finetune(experiment, pretrained, attacked)
    return [outcome.run for outcome in trial_outcomes(experiment, stage)]


def run_by_study(store: Path, **changes: Any) -> TrainingRun:
    """The run that a study trains."""
    base = settings(store.parent, **changes)
    foundation_of(Experiment(base, store))
    run = TrainingRun("a case", base, store=store, policy_interval=200)
    train(Steering([run]), Experiment(base, store).tracker, str(store))
    return run


def policy(run: TrainingRun) -> str:
    return load_policy_file(run.checkpoint / "latest.safetensors")[0].fingerprint()


def test_checkpoints_change_no_number_between_an_experiment_and_a_study(tmp_path: Path) -> None:
    (own,) = run_by_experiment(tmp_path / "experiment")
    study = run_by_study(tmp_path / "study" / "stages")
    assert [row["env_steps"] for row in own.curve()] == [0, 100, 200, 300, 400]
    assert own.curve() == study.curve()
    assert policy(own) == policy(study)
    every_interval = run_by_study(tmp_path / "study" / "stages", finetune__checkpoint_interval=100)
    assert every_interval.stage.key != study.stage.key
    assert policy(every_interval) != policy(study)  # at each checkpoint episodes begin anew


def test_a_run_that_grew_is_the_run_that_was_that_long_at_once(tmp_path: Path) -> None:
    short = run_by_study(tmp_path / "grown" / "stages", finetune__steps=200)
    grown = run_by_study(tmp_path / "grown" / "stages")
    unbroken = run_by_study(tmp_path / "unbroken" / "stages")
    assert short.stage.key == grown.stage.key == unbroken.stage.key
    assert grown.curve() == unbroken.curve()
    assert short.curve() == unbroken.curve()[:3]
    assert policy(grown) == policy(unbroken)
    between = replace(short, base=settings(tmp_path / "grown", finetune__steps=300))
    assert between.stage.key != grown.stage.key  # its end is a checkpoint that a longer one would not have


@pytest.mark.parametrize(
    "search",
    [
        {"method": "random", "samples": 4, "scheduler": "asha", "grace_evaluations": 1},
        {"method": "random", "samples": 2, "scheduler": "pbt", "exploit_evaluations": 2},
        {"method": "optuna", "samples": 3},
    ],
    ids=["asha", "pbt", "optuna"],
)
def test_a_search_ends_and_is_not_begun_again(search: dict[str, Any], tmp_path: Path) -> None:
    if search["method"] == "optuna":
        pytest.importorskip("optuna")
    space = {"space": {"curriculum.kappa": {"uniform": [0.1, 2.0]}}}
    runs = run_by_experiment(tmp_path, search={**search, **space})
    assert len(runs) == search["samples"]
    assert all(0.1 <= run.drawn["curriculum.kappa"] <= 2.0 for run in runs)
    experiment = Experiment(settings(tmp_path, search={**search, **space}))
    pretrained, attacked = foundation_of(experiment)
    steering = SearchSteering(experiment, finetune_stage(experiment, pretrained, attacked))
    assert [run.stage.key for run in steering.runs] == [run.stage.key for run in runs]
    assert (steering.waiting(), steering.undrawn()) == ([], 0)  # what was stopped stays stopped
    assert sum(run.finished() for run in runs) >= 1
