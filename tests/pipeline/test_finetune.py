from pathlib import Path
from typing import Any

import pytest

from afrl_ray.config import ExperimentSettings
from afrl_ray.config.loading import with_settings
from afrl_ray.errors import TrialsFailedError
from afrl_ray.pipeline.artifacts import Stage, write_json
from afrl_ray.pipeline.experiment import Experiment
from afrl_ray.pipeline.finetune import best_trial, learning_curves_table, refuse_earlier_version, trial_outcomes
from afrl_ray.pipeline.runs.schedulers import Halving
from afrl_ray.pipeline.runs.steering import SearchSteering

SWEEP = {"search": {"space": {"curriculum.q": [0.1, 0.9]}}}


def experiment(folder: Path, **changes: Any) -> Experiment:
    settings = ExperimentSettings(output=folder)
    return Experiment(with_settings(settings, {name.replace("__", "."): value for name, value in changes.items()}))


def curve(*scores: float) -> list[dict[str, Any]]:
    return [
        {
            "step": 5000 * k,
            "env_steps": 5000 * k,
            "normal": s,
            "random": s,
            "adversarial": s,
            "mean": s,
            "q": 0.5,
            "average": s,
        }
        for k, s in enumerate(scores)
    ]


def steering_of(one: Experiment) -> SearchSteering:
    return SearchSteering(one, one.stage("finetune", "finetune", {}))


# ---- what is left of finished trials -------------------------------------------------------------------------------


def test_outcomes_come_back_from_the_manifest_and_the_runs_folders(tmp_path: Path) -> None:
    one = experiment(tmp_path, **SWEEP)
    runs = steering_of(one).runs
    assert [run.name for run in runs] == ["fixed q=0.1", "fixed q=0.9"]
    stage = one.stage("finetune", "finetune", {})
    stage.begin()
    entries = []
    for run, scores in zip(runs, ((1.0, 2.0), (3.0,)), strict=True):
        write_json(run.stage.directory / "curve.json", curve(*scores))
        best = {"best_score": max(scores), "best_env_steps": 0}
        entries.append({"name": run.name, "folder": "", "drawn": run.drawn, "apart": run.apart, **best})
    stage.finish({"trials": entries, "best": "fixed q=0.9"}, seed=0)

    outcomes = trial_outcomes(one, stage)
    assert [(found.name, found.best_score, found.curve()) for found in outcomes] == [
        ("fixed q=0.1", 2.0, curve(1.0, 2.0)),
        ("fixed q=0.9", 3.0, curve(3.0)),
    ]
    assert [found.run.stage.key for found in outcomes] == [run.stage.key for run in runs]
    assert outcomes[1].policy == runs[1].stage.directory / "best.safetensors"
    assert best_trial(stage) == "fixed q=0.9"


def test_learning_curves_have_a_row_per_evaluation() -> None:
    table = learning_curves_table({"one": curve(1.0, 2.0), "two": curve(3.0)})
    assert list(table.columns) == [
        "trial",
        "env_steps",
        "q",
        "normal",
        "random",
        "adversarial",
        "mean",
        "smoothed_score",
    ]
    assert table["trial"].tolist() == ["one", "one", "two"]
    assert table["env_steps"].tolist() == [0, 5000, 0]
    assert table["smoothed_score"].tolist() == [1.0, 2.0, 3.0]


# ---- how trials are run --------------------------------------------------------------------------------------------


def test_runs_of_a_search_are_known_by_what_they_were_drawn_with(tmp_path: Path) -> None:
    runs = steering_of(experiment(tmp_path, **SWEEP)).runs
    again = steering_of(experiment(tmp_path, **SWEEP)).runs
    assert [run.stage.directory for run in runs] == [run.stage.directory for run in again]
    assert all(run.stage.directory.parent == tmp_path / "runs" for run in runs)
    longer = steering_of(experiment(tmp_path, **SWEEP, finetune__steps=200_000)).runs
    assert not {run.stage.key for run in runs} & {run.stage.key for run in longer}  # best policies may differ


def test_trials_run_to_their_end_unless_asha_is_asked_for(tmp_path: Path) -> None:
    assert steering_of(experiment(tmp_path)).scheduler() is None
    assert steering_of(experiment(tmp_path, **SWEEP)).scheduler() is None
    asked = {**SWEEP["search"], "scheduler": "asha", "grace_evaluations": 2}
    one = experiment(tmp_path, search=asked)
    scheduler = steering_of(one).scheduler()
    assert isinstance(scheduler, Halving)
    assert scheduler._time_attr == "env_steps"
    assert scheduler._max_t == one.settings.finetune.steps
    milestones = sorted(milestone for milestone, _ in scheduler._brackets[0]._rungs)
    assert milestones[0] == 2 * one.settings.finetune.evaluation_interval


def test_a_grace_longer_than_the_training_is_the_training(tmp_path: Path) -> None:
    one = experiment(
        tmp_path,
        finetune={"steps": 100, "evaluation_interval": 50, "checkpoint_interval": 50},
        search={**SWEEP["search"], "scheduler": "asha", "grace_evaluations": 100},
    )
    assert steering_of(one).scheduler() is not None


# ---- how a sweep ends ----------------------------------------------------------------------------------------------


def test_failed_trials_are_counted_and_the_first_one_explained() -> None:
    error = TrialsFailedError((ValueError("a long story\n\nnetworks do not fit"),), 2)
    assert "1 of 2 trials failed, the first with: networks do not fit" in str(error)


def test_an_error_without_words_is_told_by_its_kind() -> None:
    assert str(TrialsFailedError([ValueError()], 2)) == "1 of 2 trials failed, the first with: ValueError"


@pytest.mark.parametrize("is_finished", [True, False])
def test_what_an_earlier_version_left_is_refused_in_one_line(is_finished: bool, tmp_path: Path) -> None:
    stage = Stage("finetune", tmp_path / "finetune", {}, {})
    stage.begin()
    refuse_earlier_version(stage)
    if is_finished:
        stage.finish({"trials": [{"name": "fixed q=0.5", "trial_id": "a_0", "varied": {}}], "best": ""}, seed=0)
    else:
        write_json(stage.directory / "begun_with.json", {})
    with pytest.raises(ValueError, match="is of an earlier version of afrl_ray") as refusal:
        refuse_earlier_version(stage)
    assert "\n" not in str(refusal.value)
