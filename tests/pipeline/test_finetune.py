from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray.tune.schedulers import AsyncHyperBandScheduler

from afrl_ray.config import ExperimentSettings
from afrl_ray.config.loading import with_settings
from afrl_ray.errors import TrialsFailedError
from afrl_ray.pipeline.artifacts import Stage, write_json
from afrl_ray.pipeline.experiment import Experiment
from afrl_ray.pipeline.finetune import (
    TrialOutcome,
    _base_scheduler,
    _raise_unless_complete,
    _trial_resources,
    _tuner,
    best_trial,
    learning_curves_table,
    say_what_stays,
    trial_outcomes,
)
from afrl_ray.pipeline.training import RECORD
from afrl_ray.storage import StorageError

SWEEP = {"search": {"space": {"curriculum.q": [0.1, 0.9]}}}


def experiment(**changes: Any) -> ExperimentSettings:
    return with_settings(ExperimentSettings(), {name.replace("__", "."): value for name, value in changes.items()})


def curve(*scores: float) -> list[dict[str, Any]]:
    return [
        {
            "step": 10 * k,
            "env_steps": 10 * k,
            "normal": s,
            "random": s,
            "adversarial": s,
            "mean": s,
            "q": 0.5,
            "average": s,
        }
        for k, s in enumerate(scores)
    ]


def outcome(name: str, *scores: float) -> TrialOutcome:
    return TrialOutcome(name, "id", {}, max(scores), 0, Path(), Path(), curve(*scores))


# ---- what is left of finished trials -------------------------------------------------------------------------------


def test_outcomes_come_back_from_the_stages_folder(tmp_path: Path) -> None:
    stage = Stage("finetune", tmp_path / "finetune", {}, {})
    stage.begin()
    entries = []
    for name, scores in (("fixed q=0.5", (1.0, 2.0)), ("fixed q=0.5 #2", (3.0,))):
        directory = stage.directory / "checkpoints" / name.replace(" ", "_")
        write_json(directory / RECORD, {"step": 0, "curve": curve(*scores)})
        entries.append(
            {"name": name, "trial_id": name[-1], "varied": {}, "best_score": max(scores), "best_env_steps": 0}
        )
    stage.finish({"trials": entries, "best": "fixed q=0.5 #2"}, seed=0)

    outcomes = trial_outcomes(stage)
    assert [(o.name, o.best_score, o.curve) for o in outcomes] == [
        ("fixed q=0.5", 2.0, curve(1.0, 2.0)),
        ("fixed q=0.5 #2", 3.0, curve(3.0)),
    ]
    assert outcomes[1].policy.parent == outcomes[1].checkpoint == stage.directory / "checkpoints" / "fixed_q=0.5_#2"
    assert best_trial(stage) == "fixed q=0.5 #2"


def test_learning_curves_have_a_row_per_evaluation() -> None:
    table = learning_curves_table([outcome("one", 1.0, 2.0), outcome("two", 3.0)])
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
    assert table["env_steps"].tolist() == [0, 10, 0]
    assert table["smoothed_score"].tolist() == [1.0, 2.0, 3.0]


# ---- how trials are run --------------------------------------------------------------------------------------------


def test_a_trial_asks_for_its_own_core_and_one_per_remote_env_runner() -> None:
    assert _trial_resources(experiment()).bundles == [{"CPU": 1.0}]
    settings = experiment(runtime__num_env_runners=2, runtime__resources__trial__cpus=2, runtime__device="cuda")
    assert _trial_resources(settings).bundles == [{"CPU": 2.0, "GPU": 1.0}, {"CPU": 1.0}, {"CPU": 1.0}]


def test_trials_run_to_their_end_unless_asha_is_asked_for() -> None:
    assert _base_scheduler(experiment()) is None
    assert _base_scheduler(experiment(**SWEEP)) is None
    settings = experiment(search={**SWEEP["search"], "scheduler": "asha", "grace_evaluations": 2})
    scheduler = _base_scheduler(settings)
    assert isinstance(scheduler, AsyncHyperBandScheduler)
    assert scheduler._time_attr == "env_steps"
    assert scheduler._max_t == settings.finetune.steps
    milestones = sorted(milestone for milestone, _ in scheduler._brackets[0]._rungs)
    assert milestones[0] == 2 * settings.finetune.evaluation_interval


def test_a_grace_longer_than_the_training_is_the_training() -> None:
    settings = experiment(
        finetune={"steps": 100, "evaluation_interval": 50, "checkpoint_interval": 50},
        search={**SWEEP["search"], "scheduler": "asha", "grace_evaluations": 100},
    )
    assert _base_scheduler(settings) is not None


# ---- how a sweep ends ----------------------------------------------------------------------------------------------


class Results(list):  # type: ignore[type-arg]
    """Looks like Tune's ResultGrid."""

    errors: tuple[Exception, ...] = ()

    @property
    def num_errors(self) -> int:
        return len(self.errors)


def results(*done: bool | None) -> Any:
    return Results(SimpleNamespace(metrics=None if flag is None else {"done": flag}) for flag in done)


def test_a_complete_sweep_is_fine() -> None:
    _raise_unless_complete(results(True, True), experiment(**SWEEP))


@pytest.mark.parametrize("done", [(True, False), (True, None), (True,), ()])
def test_a_sweep_that_was_interrupted_is_passed_on(done: tuple[bool | None, ...]) -> None:
    with pytest.raises(KeyboardInterrupt):
        _raise_unless_complete(results(*done), experiment(**SWEEP))


def test_failed_trials_are_counted_and_the_first_one_explained() -> None:
    failed = results(True, False)
    failed.errors = (ValueError("a long story\n\nnetworks do not fit"),)
    with pytest.raises(TrialsFailedError, match="1 of 2 trials failed, the first with: networks do not fit"):
        _raise_unless_complete(failed, experiment(**SWEEP))


# ---- what a resumed sweep cannot take up ---------------------------------------------------------------------------


def test_settings_that_do_not_reach_restored_trials_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stage = Stage("finetune", tmp_path, {}, {})
    begun = experiment(runtime__trials_at_once=2)
    kept = {"runtime": {"trials_at_once"}, "tracking": {"uri"}}
    write_json(tmp_path / "begun_with.json", begun.model_dump(mode="json", include=kept))
    say_what_stays(stage, begun)
    assert capsys.readouterr().err == ""
    say_what_stays(stage, experiment(runtime__trials_at_once=1, runtime__attack_workers=1))
    assert capsys.readouterr().err == (
        "finetune: goes on with runtime.trials_at_once=2, as it began; another output begins anew\n"
    )


def test_a_sweep_whose_state_is_torn_never_begins_anew_by_itself(tmp_path: Path) -> None:
    stage = Stage("finetune", tmp_path / "finetune", {}, {})
    tune = stage.directory / "tune"
    (tune / "trial_a_00000" / "checkpoint_000004").mkdir(parents=True)
    (tune / "tuner.pkl").touch()
    (tune / "experiment_state-2026-01-01_00-00-00.json").write_text('{"trial_data": [["{')
    client: Any = None
    with pytest.raises(StorageError, match="so the trials there cannot go on"):
        _tuner(Experiment(experiment(output=tmp_path)), stage, client, trainable=None)
    assert (tune / "tuner.pkl").read_bytes() == b""


def test_an_error_without_words_is_told_by_its_kind() -> None:
    assert str(TrialsFailedError([ValueError()], 2)) == "1 of 2 trials failed, the first with: ValueError"
