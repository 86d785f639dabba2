import logging
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock, create_autospec

import pytest
from ray import tune
from ray.tune.experiment import Trial
from ray.tune.schedulers import AsyncHyperBandScheduler, FIFOScheduler, PopulationBasedTraining, TrialScheduler

from afrl_ray.attacks import AttackBank, BankClient
from afrl_ray.config import ExperimentSettings
from afrl_ray.curriculum.scheduler import CurriculumScheduler
from afrl_ray.curriculum.schedules import CurriculumState

BASES: dict[str, Callable[[], TrialScheduler]] = {
    "fifo": FIFOScheduler,
    "asha": lambda: AsyncHyperBandScheduler(time_attr="env_steps", max_t=100, grace_period=1, reduction_factor=2),
    "pbt": lambda: PopulationBasedTraining(
        time_attr="env_steps", perturbation_interval=2, hyperparam_mutations={"lr": [0.1, 0.2]}
    ),
}
CONTROLLER = MagicMock(name="tune_controller")


class Board:
    """Remembers what was set."""

    def __init__(self, answer: bool | Exception = True) -> None:
        self.states: dict[str, CurriculumState] = {}
        self._answer = answer

    def set_state(self, trial_id: str, state: CurriculumState) -> bool:
        if isinstance(self._answer, Exception):
            raise self._answer
        self.states[trial_id] = state
        return self._answer


def config_of(curriculum: Any) -> dict[str, Any]:
    return {"run": {"base": ExperimentSettings().model_dump(mode="json")}, "drawn": {"curriculum": curriculum}}


def make_trial(curriculum: dict[str, Any], trial_id: str = "a_00000") -> Any:
    trial = MagicMock(spec=Trial)
    trial.configure_mock(trial_id=trial_id, config=config_of(curriculum))
    return trial


def make_result(state: CurriculumState, score: float, **more: Any) -> dict[str, Any]:
    """A trial's result as Tune hands it to schedulers: nested mappings are flattened."""
    flattened = {f"curriculum/{name}": value for name, value in asdict(state).items()}
    return {**flattened, "curriculum_score": score, "total_evaluations": 10, **more}


@pytest.fixture(params=BASES)
def base(request: pytest.FixtureRequest) -> Any:
    """A scheduler that notes what it is asked."""
    return create_autospec(BASES[request.param](), instance=True)


ADAPTIVE = {"type": "adaptive", "beta": 0.5, "kappa": 0.5, "max_change": 1.0}


@pytest.mark.parametrize(
    ("hook", "arguments"),
    [
        ("on_trial_add", ("trial",)),
        ("on_trial_error", ("trial",)),
        ("on_trial_complete", ("trial", {"env_steps": 1})),
        ("on_trial_remove", ("trial",)),
        ("choose_trial_to_run", ()),
    ],
)
def test_every_hook_goes_to_the_wrapped_scheduler(base: Any, hook: str, arguments: tuple[Any, ...]) -> None:
    scheduler = CurriculumScheduler(Board(), base)
    answer = getattr(scheduler, hook)(CONTROLLER, *arguments)
    getattr(base, hook).assert_called_once_with(CONTROLLER, *arguments)
    if hook == "choose_trial_to_run":
        assert answer is base.choose_trial_to_run.return_value


def test_saving_goes_to_the_wrapped_scheduler(base: Any) -> None:
    scheduler = CurriculumScheduler(Board(), base)
    scheduler.save("somewhere")
    scheduler.restore("somewhere")
    base.save.assert_called_once_with("somewhere")
    base.restore.assert_called_once_with("somewhere")


def test_no_hook_of_tune_is_left_to_the_base_class() -> None:
    hooks = {name for name, value in vars(TrialScheduler).items() if callable(value) and not name.startswith("_")}
    assert hooks <= vars(CurriculumScheduler).keys()


@pytest.mark.parametrize("name", BASES)
def test_metric_and_mode_are_those_of_the_wrapped_scheduler(name: str) -> None:
    wrapped = BASES[name]()
    scheduler = CurriculumScheduler(Board(), wrapped)
    assert scheduler.set_search_properties("score_mean", "max") is True
    assert scheduler.metric == wrapped.metric == "score_mean"
    assert scheduler.set_search_properties("other", "max") is False
    assert "curriculum over " in scheduler.debug_string()


def test_results_are_never_buffered() -> None:
    assert CurriculumScheduler(Board()).supports_buffered_results is False


def test_fifo_is_the_default() -> None:
    trial = make_trial(ADAPTIVE)
    result = make_result(CurriculumState(0.0), 0.8)
    assert CurriculumScheduler(Board()).on_trial_result(CONTROLLER, trial, result) == TrialScheduler.CONTINUE


@pytest.mark.parametrize("decision", [TrialScheduler.CONTINUE, TrialScheduler.PAUSE, TrialScheduler.STOP])
def test_the_decision_is_the_wrapped_schedulers(base: Any, decision: str) -> None:
    base.on_trial_result.return_value = decision
    trial, result = make_trial(ADAPTIVE), make_result(CurriculumState(0.0), 0.8)
    assert CurriculumScheduler(Board(), base).on_trial_result(CONTROLLER, trial, result) == decision
    base.on_trial_result.assert_called_once_with(CONTROLLER, trial, result)


def test_q_is_set_before_the_wrapped_scheduler_is_asked(base: Any) -> None:
    """Population-based training saves a checkpoint while it is asked, and the checkpoint must hold the new q."""
    board, seen = Board(), []

    def decide(_controller: Any, trial: Any, _result: Any) -> str:
        seen.append(board.states[trial.trial_id].q)
        return str(TrialScheduler.CONTINUE)

    base.on_trial_result.side_effect = decide
    CurriculumScheduler(board, base).on_trial_result(
        CONTROLLER, make_trial(ADAPTIVE), make_result(CurriculumState(0.0), 0.8)
    )
    assert seen == [0.2]


def test_each_trial_moves_by_its_own_settings_and_from_its_own_state() -> None:
    board = Board()
    scheduler = CurriculumScheduler(board)
    cautious = make_trial({"type": "adaptive", "beta": 0.1, "kappa": 0.5, "max_change": 1.0}, "cautious")
    eager = make_trial({"type": "adaptive", "beta": 1.0, "kappa": 1.0, "max_change": 1.0}, "eager")
    linear = make_trial({"type": "linear", "q_max": 0.5}, "linear")
    fixed = make_trial({"type": "fixed", "q": 0.3}, "fixed")
    for trial, q in ((cautious, 0.0), (eager, 0.0), (linear, 0.2), (fixed, 0.3)):
        scheduler.on_trial_result(CONTROLLER, trial, make_result(CurriculumState(q), 0.8))
    assert board.states["cautious"] == CurriculumState(pytest.approx(0.04), pytest.approx(0.08), 1)
    assert board.states["eager"] == CurriculumState(0.8, 0.8, 1)
    assert board.states["linear"].q == pytest.approx(0.25)
    assert board.states["fixed"].q == 0.3


def test_trials_may_have_boards_of_their_own() -> None:
    boards = {"one": Board(), "two": Board()}
    scheduler = CurriculumScheduler(lambda trial: boards[trial.trial_id])
    scheduler.on_trial_result(CONTROLLER, make_trial(ADAPTIVE, "two"), make_result(CurriculumState(0.0), 0.8))
    assert not boards["one"].states
    assert list(boards["two"].states) == ["two"]


def test_settings_that_population_based_training_changed_count_from_the_next_result() -> None:
    board = Board()
    scheduler, trial = CurriculumScheduler(board), make_trial(ADAPTIVE)
    scheduler.on_trial_result(CONTROLLER, trial, make_result(CurriculumState(0.0), 0.8))
    trial.config = config_of({**ADAPTIVE, "kappa": 0.25})
    scheduler.on_trial_result(CONTROLLER, trial, make_result(CurriculumState(0.0), 0.8))
    assert board.states[trial.trial_id].q == pytest.approx(0.1)


@pytest.mark.parametrize("trouble", ["raises", "no curriculum in the result", "no such settings", "not a number"])
def test_trouble_with_q_never_ends_the_sweep(trouble: str, base: Any, caplog: pytest.LogCaptureFixture) -> None:
    base.on_trial_result.return_value = TrialScheduler.CONTINUE
    board = Board(RuntimeError("the actor is gone") if trouble == "raises" else True)
    trial, result = make_trial(ADAPTIVE), make_result(CurriculumState(0.0), 0.8)
    if trouble == "no curriculum in the result":
        result = {"score_mean": 1.0}
    elif trouble == "no such settings":
        trial.config = {}
    elif trouble == "not a number":
        result["curriculum_score"] = None
    with caplog.at_level(logging.WARNING):
        answer = CurriculumScheduler(board, base).on_trial_result(CONTROLLER, trial, result)
    assert answer == TrialScheduler.CONTINUE
    assert not board.states
    assert "q of trial a_00000 is not moved" in caplog.text


def test_a_board_that_answers_no_ends_nothing() -> None:
    scheduler = CurriculumScheduler(Board(answer=False))
    result = make_result(CurriculumState(0.0), 0.8)
    assert scheduler.on_trial_result(CONTROLLER, make_trial(ADAPTIVE), result) == TrialScheduler.CONTINUE


class ScoringTrial(tune.Trainable):  # type: ignore[misc]
    """A trial that trains nothing: it reads its q where the env runners would, and reports as a real one does."""

    def setup(self, config: dict[str, Any], client: Any) -> None:  # type: ignore[override]
        self._client, self._score = client, config["score"]
        self._steps, self._seen = 0, []
        self._state = CurriculumState(0.0)

    def step(self) -> dict[str, Any]:
        state = self._current()
        self._seen = [*self._seen, state.q]
        self._steps += 1
        return {
            "env_steps": self._steps,
            "score_mean": self._score,
            "curriculum": asdict(state),
            "curriculum_score": self._score,
            "total_evaluations": 4,
            "seen": list(self._seen),
            "done": self._steps >= 4,
        }

    def _current(self) -> CurriculumState:
        self._state = self._client.state(self.trial_id) or self._state
        return self._state

    def save_checkpoint(self, checkpoint_dir: str) -> dict[str, Any]:
        del checkpoint_dir
        return {"steps": self._steps, "seen": self._seen, "state": asdict(self._current())}

    def load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Also called when population-based training replaces this trial by a copy of another."""
        self._steps, self._seen = checkpoint["steps"], checkpoint["seen"]
        self._state = CurriculumState(**checkpoint["state"])
        self._client.set_state(self.trial_id, self._state)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", ["fifo", "asha", "pbt"])
@pytest.mark.usefixtures("ray_session")
def test_in_tune_every_trial_sees_the_q_that_its_last_result_led_to(
    name: str, small_bank: AttackBank, tmp_path: Path
) -> None:
    client = BankClient(f"scheduler-test-{name}", small_bank, timeout=60.0)
    curricula = [{**ADAPTIVE, "kappa": 0.5}, {**ADAPTIVE, "kappa": 0.25}]
    tuner = tune.Tuner(
        tune.with_parameters(ScoringTrial, client=client),
        param_space={
            **config_of(tune.grid_search(curricula)),
            "score": 0.8,
            "lr": 0.1,
        },
        tune_config=tune.TuneConfig(
            metric="score_mean", mode="max", scheduler=CurriculumScheduler(client, BASES[name]())
        ),
        run_config=tune.RunConfig(storage_path=str(tmp_path), verbose=0),
    )
    results = tuner.fit()
    client.kill()
    assert not results.errors
    for result in results:
        kappa = result.config["drawn"]["curriculum"]["kappa"]
        averages = [0.0, 0.4, 0.6, 0.7]
        seen = result.metrics["seen"]
        assert seen == pytest.approx([kappa * average for average in averages[: len(seen)]])
        assert len(seen) == 4 or name == "asha"
