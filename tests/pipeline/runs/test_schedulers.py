from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray.tune.experiment import Trial

from afrl_ray.config import ExperimentSettings
from afrl_ray.config.loading import with_settings
from afrl_ray.pipeline.runs.schedulers import Halving, Population

SCORES = {"a": [1.0, 9.0, 9.0], "b": [1.0, 2.0, 2.0], "c": [1.0, 8.0, 9.5], "d": [1.0, 1.0, 1.0], "e": [1.0, 9.5, 9.9]}


def trial(key: str) -> Any:
    return SimpleNamespace(trial_id=f"tune-{key}", config={"run": {"key": key}})


def rows(scores: list[float]) -> list[dict[str, Any]]:
    return [{"env_steps": 100 * k, "mean": score} for k, score in enumerate(scores)]


def told(scheduler: Halving, key: str) -> list[str]:
    """Its decisions about a trial that goes on until it is stopped or at its end."""
    decisions = []
    for row in rows(SCORES[key]):
        result = {"env_steps": row["env_steps"], "score_mean": row["mean"], "done": False}
        decisions.append(scheduler.on_trial_result(None, trial(key), result))
        if decisions[-1] == "STOP":
            break
    return decisions


@pytest.mark.parametrize("known", [0, 1, 2, 3, 4])
def test_a_search_that_goes_on_stops_what_an_unbroken_one_stops(known: int) -> None:
    stopped: dict[str, int] = {}
    live = Halving({}, stopped.__setitem__, max_t=1000, grace_period=100)
    whole = {key: told(live, key) for key in SCORES}
    assert stopped == {"b": 100, "d": 100}
    lengths = {key: len(decisions) for key, decisions in whole.items()}
    again: dict[str, int] = {}
    earlier = {key: rows(SCORES[key])[: lengths[key]] for key in list(SCORES)[:known]}
    resumed = Halving(earlier, again.__setitem__, max_t=1000, grace_period=100)
    for key in list(SCORES)[known:]:
        assert told(resumed, key) == whole[key]
    assert again == {key: step for key, step in stopped.items() if key in list(SCORES)[known:]}


def test_evaluations_that_are_repeated_count_once() -> None:
    scheduler = Halving({"a": rows(SCORES["a"])}, lambda *_: None, max_t=1000, grace_period=100)
    before = [dict(recorded) for _, recorded in scheduler._brackets[0]._rungs]
    told(scheduler, "a")
    assert [recorded for _, recorded in scheduler._brackets[0]._rungs] == before


def make_population(folder: Path, reached: dict[str, int]) -> Population:
    search = {
        "method": "random",
        "samples": 2,
        "scheduler": "pbt",
        "space": {"curriculum.kappa": {"uniform": [0.4, 0.6]}},
    }
    settings = with_settings(ExperimentSettings(output=folder), {"curriculum": {"type": "adaptive"}, "search": search})
    return Population(settings, reached)


def test_a_member_keeps_its_run_and_its_values_within_the_space(tmp_path: Path) -> None:
    population = make_population(tmp_path, {})
    own, better = (
        SimpleNamespace(
            config={"run": {"key": key}, "drawn": {"curriculum.kappa": kappa}},
        )
        for key, kappa in (("own", 0.45), ("better", 0.55))
    )
    found = [population._get_new_config(own, better)[0] for _ in range(50)]
    assert all(config["run"] == {"key": "own"} for config in found)
    kappas = [config["drawn"]["curriculum.kappa"] for config in found]
    assert all(0.4 <= kappa <= 0.6 for kappa in kappas)
    assert len(set(kappas)) > 2


@pytest.mark.parametrize(("reached", "exploited"), [(0, 0), (10_000, 0), (15_000, 15_000), (35_000, 30_000)])
def test_a_member_that_goes_on_waits_for_its_next_turn(reached: int, exploited: int, tmp_path: Path) -> None:
    """The default interval is 15,000 steps."""
    population = make_population(tmp_path, {"own": reached})
    population.set_search_properties("score_mean", "max")
    config = {"run": {"key": "own"}, "drawn": {"curriculum.kappa": 0.5}}
    own = Trial("RunTrial", config=config, stub=True)
    population.on_trial_add(SimpleNamespace(search_alg=None), own)
    assert population._trial_state[own].last_perturbation_time == exploited
