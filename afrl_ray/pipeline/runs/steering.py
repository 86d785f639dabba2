"""Which runs are trained, what they are drawn with, and who decides about them on the way."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

from ray import tune
from ray.tune.schedulers import TrialScheduler

from afrl_ray.config import ExperimentSettings
from afrl_ray.pipeline.artifacts import Stage, read_json, write_json
from afrl_ray.pipeline.experiment import Experiment
from afrl_ray.pipeline.foundation import Foundation
from afrl_ray.pipeline.runs.drawing import all_draws, trial_count
from afrl_ray.pipeline.runs.names import trial_name, unique_name
from afrl_ray.pipeline.runs.run import TrainingRun, best_row
from afrl_ray.pipeline.runs.schedulers import Halving, Population

_STOPPED, _BEGUN = "stopped.json", "begun.json"


class Steering:
    """Runs that are all trained to their ends. One that is wanted twice is trained once, as far as the longest."""

    def __init__(self, runs: Sequence[TrainingRun]) -> None:
        longest: dict[str, TrainingRun] = {}
        for run in runs:  # in the order of their first mention
            known = longest.get(run.stage.key)
            if known is None or known.steps < run.steps:
                longest[run.stage.key] = run
        self.runs = list(longest.values())

    @property
    def settings(self) -> ExperimentSettings:
        """Those of any: all share runtime and tracking."""
        return self.runs[0].base

    @property
    def foundations(self) -> dict[str, Foundation]:
        """What the runs start from, by key."""
        return {run.foundation.key: run.foundation for run in self.runs}

    def waiting(self) -> list[TrainingRun]:
        """Those that are known and not at their end."""
        return [run for run in self.runs if not run.finished()]

    def undrawn(self) -> int:
        """How many trials will be drawn on the way."""
        return 0

    def space(self, waiting: Sequence[TrainingRun]) -> dict[str, Any]:
        """Tune's parameter space: a trial for each of these runs."""
        configs = [run.as_config() for run in waiting]
        drawn = {config["run"]["key"]: config["drawn"] for config in configs}
        return {
            "run": tune.grid_search([config["run"] for config in configs]),
            "drawn": tune.sample_from(lambda spec: drawn[spec.config["run"]["key"]]),
        }

    def searcher(self, waiting: Sequence[TrainingRun]) -> Any:  # noqa: ARG002 - a search may have one
        """Tune's search algorithm, which begins with these runs; None: the space says it all."""
        return None

    def scheduler(self) -> TrialScheduler | None:
        """What the curriculum's scheduler wraps; None: nobody stops a trial."""
        return None


class SearchSteering(Steering):
    """The trials of an experiment, by its search.

    What cannot be worked out again is kept in the folder of the fine-tuning stage: which trials were stopped, and what
    a searcher has drawn.
    """

    def __init__(self, experiment: Experiment, stage: Stage) -> None:
        self._settings, self._stage = experiment.settings, stage
        self._base = experiment.settings.model_copy(update={"search": None})
        self._going_on: list[TrainingRun] = []
        self._stopped: dict[str, int] = read_json(stage.directory / _STOPPED) or {}
        self._names: list[str] = []
        super().__init__([self._run(drawn) for drawn in self._known_draws])

    @property
    def settings(self) -> ExperimentSettings:
        return self._base

    @property
    def foundations(self) -> dict[str, Foundation]:
        foundation = Foundation(self._base)
        return {foundation.key: foundation}

    @property
    def _is_population(self) -> bool:
        return self._settings.search is not None and self._settings.search.scheduler == "pbt"

    @property
    def _draws_on_the_way(self) -> bool:
        return self._settings.search is not None and self._settings.search.method == "optuna"

    @cached_property
    def _known_draws(self) -> list[dict[str, Any]]:
        if self._draws_on_the_way:
            return read_json(self._stage.directory / _BEGUN) or []
        return all_draws(self._settings)

    def _run(self, drawn: Mapping[str, Any]) -> TrainingRun:
        """The next one, of these values."""
        number, search = len(self._names), self._settings.search
        apart: dict[str, Any] = {}
        name = trial_name(self._base, drawn)
        if self._is_population and search is not None:
            name, apart = f"member {number}", {"population": search.model_dump(mode="json"), "member": number}
        elif self._draws_on_the_way:
            apart = {"sample": number}
        self._names.append(unique_name(name, self._names))
        return TrainingRun(self._names[-1], self._base, drawn, apart=apart)

    def waiting(self) -> list[TrainingRun]:
        left = [run for run in super().waiting() if run.stage.directory.name not in self._stopped]
        if not self._is_population:
            return left
        return [replace(run, drawn=run.in_force()) for run in left]

    def undrawn(self) -> int:
        return trial_count(self._settings) - len(self.runs)

    def space(self, waiting: Sequence[TrainingRun]) -> dict[str, Any]:
        return {} if self._draws_on_the_way else super().space(waiting)

    def searcher(self, waiting: Sequence[TrainingRun]) -> Any:
        if not self._draws_on_the_way:
            return None
        from afrl_ray.pipeline.runs.optuna_search import ResumedOptuna  # an extra

        self._going_on = list(waiting)
        ended = [run for run in self.runs if run not in self._going_on]
        known = [(run.drawn, best_row(run.curve())["mean"]) for run in ended]
        return ResumedOptuna(self._settings, [*known, *((run.drawn, None) for run in self._going_on)], self._begin)

    def _begin(self, drawn: dict[str, Any]) -> dict[str, Any]:
        """The config of a trial that goes on, or of a new one of these values."""
        if self._going_on:
            return self._going_on.pop(0).as_config()
        run = self._run(drawn)
        self.runs.append(run)
        self._keep(_BEGUN, [dict(known.drawn) for known in self.runs])
        run.begin()
        return run.as_config()

    def scheduler(self) -> TrialScheduler | None:
        search, finetune = self._settings.search, self._settings.finetune
        if search is None or search.scheduler == "fifo":
            return None
        if search.scheduler == "pbt":
            return Population(self._settings, {run.stage.directory.name: run.reached() for run in self.runs})
        curves = {run.stage.directory.name: run.curve() for run in self.runs}
        grace = min(search.grace_evaluations * finetune.evaluation_interval, finetune.steps)
        return Halving(curves, self._stop, max_t=finetune.steps, grace_period=grace)

    def _stop(self, key: str, step: int) -> None:
        self._stopped[key] = step
        self._keep(_STOPPED, self._stopped)

    def _keep(self, file: str, content: Any) -> None:
        write_json(self._stage.directory / file, content)
        self._stage.keep()
