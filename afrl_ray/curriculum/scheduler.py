"""The curriculum as a Tune scheduler that wraps any other."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, Protocol

from pydantic import TypeAdapter
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from afrl_ray.config import CurriculumSettings, trial_experiment
from afrl_ray.curriculum.schedules import CurriculumState, next_state

logger = logging.getLogger(__name__)
_STATE_FIELDS = tuple(field.name for field in fields(CurriculumState))
_SETTINGS: TypeAdapter[CurriculumSettings] = TypeAdapter(CurriculumSettings)


class CurriculumBoard(Protocol):
    """Where q is written; `afrl_ray.attacks.BankClient` is one."""

    def set_state(self, trial_id: str, state: CurriculumState) -> bool: ...


class CurriculumScheduler(TrialScheduler):  # type: ignore[misc]
    """Moves each trial's q by the trial's own curriculum before its next step, then lets `base` decide about the trial.

    A result must carry `curriculum` ({q, average, evaluations}, the state it was made under; Tune hands it over
    flattened), `curriculum_score` (S_k) and `total_evaluations` (K); the settings are
    those of `trial_experiment(trial.config)`. No state is kept here: it travels in results and in the trial's
    checkpoints, so that a restored, cloned or restarted trial goes on from its own.

    A board that cannot be reached never ends the sweep: the trial finds its state behind its evaluations and takes the
    step itself. q is set before `base` is asked, because population-based training saves a checkpoint inside its own
    `on_trial_result`.
    """

    supports_buffered_results = False

    def __init__(
        self, board: CurriculumBoard | Callable[[Trial], CurriculumBoard], base: TrialScheduler | None = None
    ) -> None:
        """`board` is that of all trials, or says which one a trial has."""
        super().__init__()
        self._board_of = board if callable(board) else lambda _trial: board
        self._base = base or FIFOScheduler()

    @property
    def metric(self) -> str | None:
        return self._base.metric  # type: ignore[no-any-return]

    def set_search_properties(self, metric: str | None, mode: str | None, **spec: Any) -> bool:
        return bool(self._base.set_search_properties(metric, mode, **spec))

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        self._advance(trial, result)
        return str(self._base.on_trial_result(tune_controller, trial, result))

    def _advance(self, trial: Trial, result: Mapping[str, Any]) -> None:
        try:
            settings = _SETTINGS.validate_python(trial_experiment(trial.config)["curriculum"])
            state = CurriculumState(**{name: result[f"curriculum/{name}"] for name in _STATE_FIELDS})
            following = next_state(settings, state, result["curriculum_score"], result["total_evaluations"])
            self._board_of(trial).set_state(trial.trial_id, following)
        except Exception:
            logger.warning("curriculum: q of trial %s is not moved from here", trial.trial_id, exc_info=True)

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        self._base.on_trial_add(tune_controller, trial)

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        self._base.on_trial_error(tune_controller, trial)

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        self._base.on_trial_complete(tune_controller, trial, result)

    def on_trial_remove(self, tune_controller: Any, trial: Trial) -> None:
        self._base.on_trial_remove(tune_controller, trial)

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        return self._base.choose_trial_to_run(tune_controller)

    def debug_string(self) -> str:
        return f"curriculum over {self._base.debug_string()}"

    def save(self, checkpoint_path: str) -> None:
        self._base.save(checkpoint_path)

    def restore(self, checkpoint_path: str) -> None:
        self._base.restore(checkpoint_path)
