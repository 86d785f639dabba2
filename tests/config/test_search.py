import json

import pytest
from pydantic import ValidationError

from afrl_ray.config import Choice, ExperimentSettings, LogUniform, SearchSettings, Uniform, load_experiment


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


def test_the_schema_allows_what_files_hold() -> None:
    schema = ExperimentSettings.model_json_schema()
    text = json.dumps(schema["$defs"]["Choice"])
    assert '"array"' in text
    assert schema["properties"]["finetune"]["$ref"] == "#/$defs/FinetuneSettings"
    assert schema["$defs"]["FinetuneSettings"]["properties"]["steps"]["description"]
