"""Tune's schedulers for searches whose trials were begun by earlier commands."""
# ruff: noqa: ARG002 - Tune calls every method with all of its arguments

from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import ASHAScheduler, PopulationBasedTraining, TrialScheduler

from afrl_ray.config import ExperimentSettings
from afrl_ray.pipeline.runs.drawing import bounded, domains


class Halving(ASHAScheduler):  # type: ignore[misc]
    """ASHA that knows what the runs of earlier commands reached, and says which trials it stops.

    A run is known by its key: a trial that repeats evaluations after its last checkpoint is no second trial.
    """

    def __init__(
        self,
        curves: Mapping[str, Sequence[Mapping[str, Any]]],
        stop: Callable[[str, int], None],
        *,
        max_t: int,
        grace_period: int,
    ) -> None:
        """`curves` are those of all runs so far by key; `stop` is called with a key and the environment steps."""
        super().__init__(time_attr="env_steps", metric="score_mean", mode="max", max_t=max_t, grace_period=grace_period)
        self._stop = stop
        (bracket,) = self._brackets
        for key, curve in curves.items():
            for row in curve:
                bracket.on_result(SimpleNamespace(trial_id=key), row["env_steps"], row["mean"])

    def set_search_properties(self, metric: str | None, mode: str | None, **spec: Any) -> bool:
        """It has its own, with which it has read the curves."""
        return True

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        step, key = int(result["env_steps"]), str(trial.config["run"]["key"])
        if result["done"] or step >= self._max_t:
            return str(TrialScheduler.CONTINUE)  # it ends by itself
        (bracket,) = self._brackets
        decision = str(bracket.on_result(SimpleNamespace(trial_id=key), step, result["score_mean"]))
        if decision == TrialScheduler.STOP:
            self._num_stopped += 1
            self._stop(key, step)
        return decision

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        self._trial_info.pop(trial.trial_id, None)


class Population(PopulationBasedTraining):  # type: ignore[misc]
    """Population-based training (Jaderberg et al. 2017): now and then the worst go on from the best, with other values.

    What the search's space bounds stays within it. Members of a population that was interrupted take part again as soon
    as they have been evaluated.
    """

    def __init__(self, settings: ExperimentSettings, reached: Mapping[str, int]) -> None:
        """`reached` are environment steps by the key of each run."""
        search = settings.search
        assert search is not None
        self._interval = search.exploit_evaluations * settings.finetune.evaluation_interval
        self._reached = reached

        def within(config: dict[str, Any]) -> dict[str, Any]:
            drawn = {name: bounded(search.space[name], value) for name, value in config["drawn"].items()}
            return {**config, "drawn": drawn}

        super().__init__(
            time_attr="env_steps",
            perturbation_interval=self._interval,
            hyperparam_mutations={"drawn": domains(search.space)},
            custom_explore_fn=within,
        )

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        super().on_trial_add(tune_controller, trial)
        reached = self._reached.get(trial.config["run"]["key"], 0)
        self._trial_state[trial].last_perturbation_time = reached - reached % self._interval

    def _get_new_config(self, trial: Trial, trial_to_clone: Trial) -> tuple[dict[str, Any], dict[str, Any]]:
        """The other's values, changed; the run stays the trial's own."""
        config, operations = super()._get_new_config(trial, trial_to_clone)
        return {**config, "run": trial.config["run"]}, operations
