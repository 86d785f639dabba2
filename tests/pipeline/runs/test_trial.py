"""A real trial of a few steps, without Tune: which checkpoints and policies its run keeps."""

from pathlib import Path

import pytest

from afrl_ray.config import ExperimentSettings, with_settings
from afrl_ray.networks import load_policy_file
from afrl_ray.pipeline.artifacts import read_json
from afrl_ray.pipeline.attack import attack
from afrl_ray.pipeline.experiment import Experiment
from afrl_ray.pipeline.pretrain import pretrain
from afrl_ray.pipeline.runs.run import TrainingRun
from afrl_ray.pipeline.runs.trial import RunTrial

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.usefixtures("ray_session")]

SMALL = {"hidden_sizes": (8, 8), "batch_size": 8}
SETTINGS = {
    "environment": {"id": "Hopper-v4", "max_episode_steps": 20},
    "data": {"type": "generated", "transitions": 200},
    "pretrain": {"updates": 10, "evaluation_interval": 10, "evaluation_episodes": 1, "checkpoint_interval": 10},
    "attack": {"population": 4, "generations": 1, "episodes": 1, "training_bank": 1, "validation_bank": 1},
    "finetune": {"steps": 600, "evaluation_interval": 100, "checkpoint_interval": 200, "validation_episodes": 1},
    "tracking.enabled": False,
    **{f"{phase}.algorithm.{name}": value for phase in ("pretrain", "finetune") for name, value in SMALL.items()},
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> TrainingRun:
    folder = tmp_path_factory.mktemp("trial")
    settings = with_settings(ExperimentSettings(output=folder), SETTINGS)
    experiment = Experiment(settings, folder / "stages")
    attack(experiment, pretrain(experiment))
    return TrainingRun("a case", settings, store=folder / "stages", policy_interval=300)


def steps_of(file: Path) -> int:
    return int(read_json(file)["step"])


def test_what_is_due_is_kept_and_a_trial_that_died_goes_on_from_it(run: TrainingRun) -> None:
    run.begin()
    trial = RunTrial(run.as_config())
    reached, saved = [], []
    for _ in range(4):  # steps 0 to 300
        reached.append(trial.step()["env_steps"])
        saved.append(run.reached())
    assert reached == [0, 100, 200, 300]
    assert saved == [0, 0, 200, 200]
    assert [row["env_steps"] for row in run.curve()] == reached  # as of the last evaluation, not the last checkpoint
    assert not run.finished()
    before = run.curve()
    trial.cleanup()

    again = RunTrial(run.as_config())
    results = [again.step() for _ in range(4)]
    assert [result["env_steps"] for result in results] == [300, 400, 500, 600]
    assert run.curve()[:4] == before  # what was repeated came out the same
    assert [result["done"] for result in results] == [False, False, False, True]
    assert "critic_loss" in results[-1]["learner"]
    assert run.finished()
    kept = sorted(file.name for file in (run.stage.directory / "policies").iterdir())
    assert kept == ["300.best.safetensors", "300.safetensors", "600.best.safetensors", "600.safetensors"]
    manifest = run.stage.finished()
    assert manifest is not None
    assert manifest["outputs"]["steps"] == 600
    latest = load_policy_file(run.checkpoint / "latest.safetensors")[0].fingerprint()
    assert load_policy_file(run.policy_file(600, "final"))[0].fingerprint() == latest
    again.cleanup()
