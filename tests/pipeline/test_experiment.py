import pickle
from pathlib import Path

import pytest
import yaml

from afrl_ray.config import ExperimentSettings, with_settings
from afrl_ray.pipeline import run
from afrl_ray.pipeline.experiment import Experiment, pinned
from afrl_ray.pipeline.runs.run import TrainingRun


def test_stages_stand_in_the_experiment_s_folder_or_under_their_keys_in_a_store(tmp_path: Path) -> None:
    settings = ExperimentSettings(output=tmp_path / "run")
    own = Experiment(settings).stage("data", "data", {})
    shared = Experiment(settings, tmp_path / "store").stage("data", "data", {})
    assert own.key == shared.key
    assert own.directory == tmp_path / "run" / "data"
    assert shared.directory == tmp_path / "store" / f"data-{own.key[:16]}"


def test_experiments_share_a_stage_exactly_where_it_is_the_same(tmp_path: Path) -> None:
    first = Experiment(ExperimentSettings(output=tmp_path / "one"), tmp_path)
    longer = Experiment(
        with_settings(
            first.settings, {"finetune.steps": 5, "finetune.evaluation_interval": 5, "finetune.checkpoint_interval": 5}
        ),
        tmp_path,
    )
    other = Experiment(with_settings(first.settings, {"seed": 1}), tmp_path)
    stages = [experiment.stage("data", "data", {}).directory for experiment in (first, longer, other)]
    assert stages[0] == stages[1] != stages[2]


def test_other_settings_in_the_same_folder_are_another_tracked_run(tmp_path: Path) -> None:
    settings = ExperimentSettings(output=tmp_path / "run")

    def key(**changes: object) -> str:
        dotted = {name.replace("__", "."): value for name, value in changes.items()}
        return Experiment(with_settings(settings, dotted)).tracker.parent_run().key

    assert key() == key(runtime__trials_at_once=1) == key(tracking__experiment="other")
    assert len({key(), key(seed=1), key(evaluation__episodes=7), key(finetune__steps=5_000)}) == 4
    shared = Experiment(settings, tmp_path / "store").tracker.parent_run().key
    assert shared == Experiment(with_settings(settings, {"seed": 1}), tmp_path / "store").tracker.parent_run().key


def test_all_processes_log_where_the_first_one_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = ExperimentSettings(output=tmp_path / "run")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert pinned(settings).tracking.uri == f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://driver:5000")
    first = pinned(settings)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://elsewhere:5000")  # as another node has it
    assert Experiment(first).tracker.uri == "http://driver:5000"
    assert pinned(first) == first
    off = with_settings(settings, {"tracking.enabled": False})
    assert pinned(off).tracking == off.tracking


def test_a_run_finds_them_before_anything_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[ExperimentSettings] = []

    def stop(experiment: Experiment) -> None:
        begun.append(experiment.settings)
        raise InterruptedError

    monkeypatch.setattr(run, "preflight", stop)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://driver:5000")
    with pytest.raises(InterruptedError):
        run.run_experiment(ExperimentSettings(output=tmp_path / "run"))
    assert begun[0].tracking.uri == "http://driver:5000"


def test_a_password_of_the_environment_reaches_processes_but_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = "postgresql://mlflow:secret@host/db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    settings = pinned(ExperimentSettings(output=tmp_path / "run"))
    assert pickle.loads(pickle.dumps(settings)).tracking.uri == uri
    assert "secret" not in yaml.safe_dump(settings.model_dump(mode="json"))
    assert "secret" not in str(TrainingRun("mine", settings).as_config())
