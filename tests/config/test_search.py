import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from afrl_ray.config import (
    Choice,
    ConfigError,
    ExperimentSettings,
    LogUniform,
    SearchSettings,
    Uniform,
    load_experiment,
)


def test_a_list_is_a_choice_and_is_written_as_a_list() -> None:
    search = SearchSettings(space={"curriculum.beta": [0.1, 0.3], "seed": {"choice": [0, 1]}})
    assert search.space == {"curriculum.beta": Choice(choice=(0.1, 0.3)), "seed": Choice(choice=(0, 1))}
    assert search.model_dump(mode="json")["space"] == {"curriculum.beta": [0.1, 0.3], "seed": [0, 1]}
    assert SearchSettings.model_validate(json.loads(search.model_dump_json())) == search


def test_distributions_survive_their_dump() -> None:
    search = SearchSettings(
        method="random", space={"curriculum.beta": {"uniform": [0, 1]}, "curriculum.kappa": {"loguniform": [0.1, 1]}}
    )
    assert search.space == {
        "curriculum.beta": Uniform(uniform=(0, 1)),
        "curriculum.kappa": LogUniform(loguniform=(0.1, 1)),
    }
    assert SearchSettings.model_validate(search.model_dump(mode="json")) == search


def test_classes_check_their_own_numbers() -> None:
    with pytest.raises(ValidationError, match="does not go from a smaller to a larger number"):
        Uniform(uniform=(1, 1))
    with pytest.raises(ValidationError, match="over 0"):
        LogUniform(loguniform=(0, 1))
    with pytest.raises(ValidationError, match="at least 1 item"):
        Choice(choice=())


@pytest.mark.parametrize(
    "value", [[], {}, 3, "text", None, {"uniform": [1]}, {"uniform": [0, "x"]}, {"normal": [0, 1]}, {"choice": 3}]
)
def test_other_forms_are_refused(value: object) -> None:
    with pytest.raises(ValidationError, match="write a list of values"):
        SearchSettings(method="random", space={"curriculum.beta": value})


@pytest.mark.parametrize("values", [[0.1, 0.3, 0.1], [1, 1.0], [{"q": 0.5}, {"q": 0.5}]])
def test_a_grid_lists_each_value_once(values: list[object]) -> None:
    with pytest.raises(ValidationError, match="twice, which would make exact copies"):
        SearchSettings(space={"curriculum.beta": values})
    weighted = SearchSettings(method="random", samples=5, space={"curriculum.beta": values})
    assert weighted.space["curriculum.beta"] == Choice(choice=tuple(values))


POPULATION = ["curriculum.type=adaptive", "search.scheduler=pbt", "search.method=random", "search.samples=4"]
KAPPA = "search.space.curriculum.kappa={uniform: [0.2, 0.8]}"


def test_a_population_of_the_default_intervals_is_accepted() -> None:
    search = load_experiment(None, [*POPULATION, KAPPA]).search
    assert search is not None
    assert (search.scheduler, search.samples, search.exploit_evaluations) == ("pbt", 4, 3)


@pytest.mark.parametrize(
    ("overrides", "refusal"),
    [
        (
            ["search.method=grid", "search.samples=1", "search.space.curriculum.kappa=[0.2]"],
            "method is grid and samples 1",
        ),
        (["search.method=optuna"], "method is optuna and samples 4"),
        (["search.samples=1"], "method is random and samples 1"),
        (["search.space.seed=[0, 1]"], "changes numbers of the curriculum on the way, and seed is none"),
        (["search.space.finetune.algorithm.tau={uniform: [0.1, 0.2]}"], "and finetune.algorithm.tau is none"),
        (["search.space.curriculum.score=[normal, random]"], "and curriculum.score is none"),
        (["runtime.trials_at_once=3"], "write runtime.trials_at_once: 4, or leave it out"),
        (["finetune.checkpoint_interval=10000"], "is not a multiple of finetune.checkpoint_interval (10000)"),
    ],
)
def test_what_no_population_can_be_is_refused(overrides: list[str], refusal: str) -> None:
    with pytest.raises(ConfigError) as error:
        load_experiment(None, [*POPULATION, KAPPA, *overrides])
    assert refusal in str(error.value)


@pytest.mark.parametrize(
    "overrides",
    [
        ["runtime.trials_at_once=4"],
        ["finetune.checkpoint_interval=10000", "search.exploit_evaluations=4"],
        ["search.space.curriculum.beta=[0.1, 0.3]"],
    ],
)
def test_what_a_population_can_be_is_accepted(overrides: list[str]) -> None:
    assert load_experiment(None, [*POPULATION, KAPPA, *overrides]).search is not None


def test_whole_sections_can_be_searched() -> None:
    overrides = ["search.space={curriculum: [{type: fixed, q: 0.2}, {type: adaptive}], seed: [0, 1, 2]}"]
    search = load_experiment(None, overrides).search
    assert search is not None
    assert search.space["curriculum"] == Choice(choice=({"type": "fixed", "q": 0.2}, {"type": "adaptive"}))


def test_overrides_reach_into_the_space() -> None:
    overrides = ["curriculum.type=adaptive", "search.space.curriculum.beta=[0.1]", "search.space.seed=[0, 1]"]
    search = load_experiment(None, overrides).search
    assert search is not None
    assert list(search.space) == ["curriculum.beta", "seed"]


@pytest.mark.parametrize(
    ("space", "override", "searched"),
    [
        ("curriculum: [{type: fixed}, {type: adaptive}]", "curriculum.type=adaptive", "curriculum"),
        ("curriculum: [{type: fixed}, {type: adaptive}]", "curriculum={type: linear}", "curriculum"),
        ("curriculum.q: [0.1, 0.5]", "curriculum.q=0.9", "curriculum.q"),
        ("curriculum.q: [0.1, 0.5]", "curriculum={q: 0.9}", "curriculum.q"),
        (
            "finetune.algorithm.tau: [0.1, 0.5]",
            "finetune={algorithm: {tau: 0.2, gamma: 0.9}}",
            "finetune.algorithm.tau",
        ),
        ("seed: [0, 1]", "seed=3", "seed"),
    ],
)
def test_an_override_that_the_search_would_replace_is_refused(
    space: str, override: str, searched: str, tmp_path: Path
) -> None:
    file = tmp_path / "x.yaml"
    file.write_text(f"search: {{space: {{{space}}}}}")
    with pytest.raises(ConfigError) as error:
        load_experiment(file, ["name=x", override])
    assert str(error.value) == (
        f"override {override}: every trial gets its {searched} from the search; "
        f"override search.space.{searched}, or write search=null for one trial without a search"
    )
    assert load_experiment(file, [override, "search=null"]).search is None


def test_overrides_beside_what_is_searched_are_for_all_trials(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_text("search: {space: {curriculum.q: [0.1, 0.5], finetune.algorithm.tau: [0.1]}}")
    settings = load_experiment(
        file, ["finetune={steps: 9000, algorithm: {gamma: 0.9}}", "search.space.curriculum.q=[1]"]
    )
    assert (settings.finetune.steps, settings.finetune.algorithm.gamma) == (9000, 0.9)


def test_the_schema_allows_what_files_hold() -> None:
    schema = ExperimentSettings.model_json_schema()
    text = json.dumps(schema["$defs"]["Choice"])
    assert '"array"' in text
    assert schema["properties"]["finetune"]["$ref"] == "#/$defs/FinetuneSettings"
    assert schema["$defs"]["FinetuneSettings"]["properties"]["steps"]["description"]
