from typing import Any

import numpy as np
import pytest
from ray import tune
from ray.tune import Experiment
from ray.tune.search import BasicVariantGenerator

from afrl_ray.config import ExperimentSettings, SearchSettings
from afrl_ray.config.loading import with_settings
from afrl_ray.pipeline.runs.drawing import all_draws, trial_count
from afrl_ray.seeding import derive_seed

ADAPTIVE = {"type": "adaptive", "beta": 0.1}


def experiment(space: dict[str, Any] | None = None, **search: Any) -> ExperimentSettings:
    settings = ExperimentSettings(name="sweep")
    if space is None:
        return settings
    return settings.model_copy(update={"search": SearchSettings(space=space, **search)})


def trials(settings: ExperimentSettings) -> list[dict[str, Any]]:
    """What each trial is drawn with, and its settings."""
    base = settings.model_copy(update={"search": None})
    return [
        {"varied": drawn, "experiment": with_settings(base, drawn).model_dump(mode="json")}
        for drawn in all_draws(settings)
    ]


def test_no_search_is_one_trial_of_the_experiment_itself() -> None:
    (trial,) = trials(experiment())
    assert trial["varied"] == {}
    assert ExperimentSettings.model_validate(trial["experiment"]) == experiment()


def test_a_grid_has_every_combination() -> None:
    settings = experiment({"curriculum.q": [0.1, 0.5], "finetune.offline_ratio": [0.0, 0.5, 1.0]})
    made = trials(settings)
    assert len(made) == trial_count(settings) == 6
    chosen = {(t["experiment"]["curriculum"]["q"], t["experiment"]["finetune"]["offline_ratio"]) for t in made}
    assert chosen == {(q, ratio) for q in (0.1, 0.5) for ratio in (0.0, 0.5, 1.0)}
    for trial in made:
        assert trial["varied"] == {
            "curriculum.q": trial["experiment"]["curriculum"]["q"],
            "finetune.offline_ratio": trial["experiment"]["finetune"]["offline_ratio"],
        }


def test_everything_that_is_not_searched_is_the_experiments() -> None:
    settings = experiment({"curriculum.q": [0.1, 0.9]})
    for trial in trials(settings):
        resolved = ExperimentSettings.model_validate(trial["experiment"])
        expected = with_settings(experiment(), {"curriculum.q": trial["varied"]["curriculum.q"]})
        assert resolved == expected
        assert resolved.search is None


def test_whole_curricula_bring_their_own_defaults() -> None:
    settings = experiment({"curriculum": [{"type": "fixed", "q": 0.3}, {"type": "linear"}, ADAPTIVE]})
    fixed, linear, adaptive = (trial["experiment"]["curriculum"] for trial in trials(settings))
    assert fixed == {"type": "fixed", "q": 0.3}
    assert linear == {"type": "linear", "q_max": 1.0}
    assert adaptive["beta"] == 0.1
    assert adaptive["kappa"] == 0.6
    assert "q" not in adaptive


def test_a_setting_of_the_chosen_curriculum() -> None:
    settings = with_settings(experiment(), {"curriculum": ADAPTIVE})
    settings = settings.model_copy(
        update={"search": SearchSettings(space={"curriculum.beta": [0.1, 0.5], "curriculum.kappa": [0.2, 0.8]})}
    )
    pairs = [(t["experiment"]["curriculum"]["beta"], t["experiment"]["curriculum"]["kappa"]) for t in trials(settings)]
    assert sorted(pairs) == [(0.1, 0.2), (0.1, 0.8), (0.5, 0.2), (0.5, 0.8)]


def test_a_random_search_draws_within_its_bounds() -> None:
    space = {
        "finetune.algorithm.actor_learning_rate": {"loguniform": [1e-5, 1e-3]},
        "finetune.offline_ratio": {"uniform": [0.25, 0.75]},
        "curriculum.q": [0.1, 0.5],
    }
    settings = experiment(space, method="random", samples=50)
    made = [trial["experiment"] for trial in trials(settings)]
    assert len(made) == trial_count(settings) == 50
    rates = [trial["finetune"]["algorithm"]["actor_learning_rate"] for trial in made]
    assert all(1e-5 <= rate <= 1e-3 for rate in rates)
    assert 10 < sum(rate < 1e-4 for rate in rates) < 40  # uniform in the logarithm
    assert all(0.25 <= trial["finetune"]["offline_ratio"] <= 0.75 for trial in made)
    assert {trial["curriculum"]["q"] for trial in made} == {0.1, 0.5}


def test_a_random_search_over_whole_curricula() -> None:
    settings = experiment({"curriculum": [{"type": "linear"}, ADAPTIVE]}, method="random", samples=20)
    assert {trial["experiment"]["curriculum"]["type"] for trial in trials(settings)} == {"linear", "adaptive"}


@pytest.mark.parametrize("method", ["grid", "random"])
def test_counting_makes_no_trials(method: str) -> None:
    space = {"seed": list(range(1000)), "curriculum.q": [0.1, 0.2]}
    samples = {"samples": 7} if method == "random" else {}
    assert trial_count(experiment(space, method=method, **samples)) == (2_000 if method == "grid" else 7)


SPACES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "random": (
        {
            "curriculum.q": {"uniform": [0.0, 1.0]},
            "finetune.offline_ratio": [0.0, 0.5, 1.0],
            "finetune.algorithm.actor_learning_rate": {"loguniform": [1e-5, 1e-3]},
        },
        {
            "curriculum.q": tune.uniform(0.0, 1.0),
            "finetune.offline_ratio": tune.choice([0.0, 0.5, 1.0]),
            "finetune.algorithm.actor_learning_rate": tune.loguniform(1e-5, 1e-3),
        },
    ),
    "grid": (
        {"curriculum.q": [0.1, 0.9], "finetune.offline_ratio": [0.0, 0.5, 1.0], "seed": [3, 1]},
        {
            "curriculum.q": tune.grid_search([0.1, 0.9]),
            "finetune.offline_ratio": tune.grid_search([0.0, 0.5, 1.0]),
            "seed": tune.grid_search([3, 1]),
        },
    ),
}
"""The project's words and Tune's, by method."""


@pytest.mark.parametrize(("method", "samples", "count"), [("random", 5, 5), ("grid", 1, 12)])
@pytest.mark.parametrize("seed", [0, 1])
def test_draws_are_those_of_tune_s_own_generator(method: Any, samples: int, count: int, seed: int) -> None:
    """So that the trials of one seed are what they were when Tune drew them, and in its order."""
    space, tunes = SPACES[method]
    settings = experiment(space, method=method, samples=samples).model_copy(update={"seed": seed})
    searcher = BasicVariantGenerator(random_state=derive_seed(seed, "search"))
    searcher.add_configurations(Experiment("search", lambda _: None, config={"varied": tunes}, num_samples=samples))
    np.random.seed(None)  # noqa: NPY002 - which is Tune's, where it is given no seed
    expected = [searcher.next_trial().config["varied"] for _ in range(count)]
    assert searcher.next_trial() is None
    assert all_draws(settings) == expected
    assert len({str(drawn) for drawn in expected}) == count
