from typing import Any

import numpy as np
import pytest
from ray.tune import Experiment
from ray.tune.search.variant_generator import generate_variants

from afrl_ray.config import ExperimentSettings, SearchSettings, trial_experiment
from afrl_ray.config.loading import with_settings
from afrl_ray.pipeline.search import (
    file_name,
    file_names,
    parameter_space,
    search_algorithm,
    trial_count,
    trial_name,
    unique_name,
)

ADAPTIVE = {"type": "adaptive", "beta": 0.1}


def experiment(space: dict[str, Any] | None = None, **search: Any) -> ExperimentSettings:
    settings = ExperimentSettings(name="sweep")
    if space is None:
        return settings
    return settings.model_copy(update={"search": SearchSettings(space=space, **search)})


def trials(settings: ExperimentSettings, seed: int = 0) -> list[dict[str, Any]]:
    """The configurations that Tune makes of the parameter space."""
    variants = []
    for _ in range(settings.search.samples if settings.search else 1):
        variants += [config for _, config in generate_variants(parameter_space(settings), random_state=seed)]
        seed += 1
    return [{"varied": variant["varied"], "experiment": trial_experiment(variant)} for variant in variants]


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


# ---- names ---------------------------------------------------------------------------------------------------------


def named(**changes: Any) -> str:
    varied = {name.replace("__", "."): value for name, value in changes.items()}
    return trial_name(with_settings(experiment(), varied).model_dump(mode="json"), varied)


def test_names_start_with_the_curriculum() -> None:
    assert named() == "fixed q=0.5"
    assert named(curriculum={"type": "linear", "q_max": 0.75}) == "linear q_max=0.75"
    assert named(curriculum=ADAPTIVE) == "adaptive beta=0.1 kappa=0.6"


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.9998, "0.9998"), (0.99973241, "0.999732"), (0.95, "0.95"), (0.123456, "0.123"), (0.9, "0.9"), (0.0, "0")],
)
def test_numbers_are_cut_to_what_tells_them_apart(value: float, shown: str) -> None:
    assert named(finetune__algorithm__policy_average_decay=value) == f"fixed q=0.5 policy_average_decay={shown}"


def test_names_go_on_with_what_was_varied() -> None:
    name = named(
        finetune__offline_ratio=0.25,
        finetune__algorithm__actor_learning_rate=1.23456e-4,
        perturbation__condition="random",
    )
    assert name == "fixed q=0.5 offline_ratio=0.25 actor_learning_rate=0.000123 condition=random"


def test_a_curriculum_is_named_once() -> None:
    assert named(curriculum__q=0.125) == "fixed q=0.125"


def test_names_of_whole_sections_show_their_leaves() -> None:
    assert named(finetune__algorithm={"type": "td3", "policy_delay": 3}) == "fixed q=0.5 type=td3 policy_delay=3"


def test_files_are_called_without_spaces_and_slashes() -> None:
    name = named(environment__id="phys2d/CartPole-v1")
    assert file_name(name) == "fixed_q=0.5_id=phys2d_CartPole-v1"


def test_two_names_never_share_a_file() -> None:
    called = file_names(["runs/a", "runs_a", "runs a"])
    assert called == {"runs/a": "runs_a", "runs_a": "runs_a #2", "runs a": "runs_a #3"}


def test_no_file_s_name_is_too_long() -> None:
    names = ["x" * length for length in (180, 181, 400)]
    short, long, longest = map(file_name, names)
    assert short == names[0]
    assert len({long, longest}) == 2
    assert max(len(long), len(longest)) < 180
    assert len(file_name("歩" * 100).encode()) < 180


def test_a_name_that_is_taken_gets_a_number() -> None:
    taken: list[str] = []
    for _ in range(3):
        taken.append(unique_name("fixed q=0.5", taken))
    assert taken == ["fixed q=0.5", "fixed q=0.5 #2", "fixed q=0.5 #3"]


@pytest.mark.parametrize("method", ["grid", "random"])
def test_counting_makes_no_trials(method: str) -> None:
    space = {"seed": list(range(1000)), "curriculum.q": [0.1, 0.2]}
    samples = {"samples": 7} if method == "random" else {}
    assert trial_count(experiment(space, method=method, **samples)) == (2_000 if method == "grid" else 7)


def test_the_seed_draws_the_trials_of_a_random_search() -> None:
    settings = experiment({"curriculum.q": {"uniform": [0.0, 1.0]}}, method="random", samples=3)

    def drawn(seed: int) -> list[float]:
        np.random.seed(None)  # noqa: NPY002 - Tune's own choice of a generator
        searcher = search_algorithm(settings.model_copy(update={"seed": seed}))
        searcher.add_configurations(
            Experiment("search", lambda _: None, config=parameter_space(settings), num_samples=3)
        )
        return [searcher.next_trial().config["varied"]["curriculum.q"] for _ in range(3)]

    assert drawn(0) == drawn(0) != drawn(1)
    assert len(set(drawn(0))) == 3
