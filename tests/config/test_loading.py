import copy
from pathlib import Path

import pytest

from afrl_ray.config import (
    AdaptiveCurriculum,
    ConfigError,
    CQLSettings,
    D4RLData,
    ExperimentSettings,
    ExpertSettings,
    FinetuneSettings,
    FixedCurriculum,
    IQLSettings,
    LinearCurriculum,
    MinariData,
    PretrainSettings,
    SACSettings,
    TD3BCSettings,
    TD3Settings,
    differences,
    load_experiment,
    load_settings,
    settings_fingerprint,
    with_settings,
)


def load(content: str, *overrides: str, folder: Path) -> ExperimentSettings:
    (folder / "x.yaml").write_text(content)
    return load_experiment(folder / "x.yaml", list(overrides))


def test_nothing_given_is_all_defaults(tmp_path: Path) -> None:
    assert load_experiment(None) == ExperimentSettings() == load("# nothing\n", folder=tmp_path)


def test_a_file_holds_differences_and_overrides_win(tmp_path: Path) -> None:
    settings = load("seed: 3\nfinetune: {num_envs: 4}\n", "seed=5", "finetune.steps=50000", folder=tmp_path)
    assert settings == ExperimentSettings(seed=5, finetune=FinetuneSettings(num_envs=4, steps=50_000))


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("finetune.steps=1e6", 1_000_000),
        ("finetune.steps=1_000_000", 1_000_000),
        ("finetune.algorithm.tau=1e-3", 1e-3),
        ("finetune.algorithm.mixed_precision=on", "on"),
        ("tracking.enabled=no", False),
        ("perturbation.epsilon=null", None),
        ("output=~/results", Path("~/results")),
        ("tracking.uri=http://127.0.0.1:5000", "http://127.0.0.1:5000"),
        ("evaluation.conditions=[normal, random]", ("normal", "random")),
    ],
)
def test_values_are_yaml_without_its_surprises(override: str, value: object) -> None:
    loaded = load_experiment(None, [override])
    for part in override.partition("=")[0].split("."):
        loaded = getattr(loaded, part)
    assert loaded == value


def test_a_union_takes_its_default_type(tmp_path: Path) -> None:
    assert load("curriculum: {q: 0.2}\n", folder=tmp_path).curriculum == FixedCurriculum(q=0.2)


def test_another_type_drops_only_what_it_does_not_have(tmp_path: Path) -> None:
    content = "curriculum: {type: linear, q_max: 0.7}\ndata: {type: minari, dataset: a/b-v0, transitions: 9}\n"
    settings = load(content, "curriculum.type=adaptive", "data.type=d4rl", folder=tmp_path)
    assert settings.curriculum == AdaptiveCurriculum()
    assert settings.data == D4RLData(dataset="a/b-v0", transitions=9)


def test_the_order_of_overrides_does_not_matter() -> None:
    for overrides in (
        ["curriculum.beta=0.2", "curriculum.type=adaptive"],
        ["curriculum.type=adaptive", "curriculum.beta=0.2"],
        ["curriculum.beta=0.2", "curriculum={type: adaptive, beta: 0.9}"],
    ):
        assert load_experiment(None, overrides).curriculum == AdaptiveCurriculum(beta=0.2)


def test_an_override_of_the_old_type_is_not_dropped_in_silence() -> None:
    with pytest.raises(ConfigError, match=r"curriculum\.q is not a setting of curriculum\.type=linear, only of fixed"):
        load_experiment(None, ["curriculum.q=0.3", "curriculum.type=linear"])


def test_sections_can_be_replaced_whole() -> None:
    assert load_experiment(None, ["curriculum={type: linear, q_max: 0.3}"]).curriculum == LinearCurriculum(q_max=0.3)


def test_a_search_can_be_switched_off(tmp_path: Path) -> None:
    assert load("search: {space: {seed: [0, 1]}}\n", "search=null", folder=tmp_path).search is None


def test_anchors_and_merge_keys_work(tmp_path: Path) -> None:
    content = "pretrain: &short {evaluation_interval: 500}\nfinetune: {<<: *short, checkpoint_interval: 1000}\n"
    settings = load(content, folder=tmp_path)
    assert settings.finetune == FinetuneSettings(evaluation_interval=500, checkpoint_interval=1000)


def test_algorithms_are_chosen_by_one_line_each() -> None:
    settings = load_experiment(None, ["pretrain.algorithm.type=iql", "finetune.algorithm.type=sac"])
    assert settings.pretrain.algorithm == IQLSettings()
    assert settings.finetune.algorithm == SACSettings()
    assert differences(settings) == {
        "pretrain": {"algorithm": {"type": "iql"}},
        "finetune": {"algorithm": {"type": "sac"}},
    }
    assert ExperimentSettings.model_validate(settings.model_dump(mode="json")) == settings


def test_another_algorithm_keeps_what_it_shares_with_the_file(tmp_path: Path) -> None:
    content = "finetune: {algorithm: {batch_size: 64, policy_delay: 1}}\n"
    overrides = ("finetune.algorithm.type=sac", "pretrain={algorithm: {type: cql, min_q_weight: 10}}")
    settings = load(content, *overrides, folder=tmp_path)
    assert settings.finetune.algorithm == SACSettings(batch_size=64)
    assert settings.pretrain.algorithm == CQLSettings(min_q_weight=10)


def test_a_training_from_scratch_takes_any_algorithm_and_no_offline_rows() -> None:
    settings = load_experiment(None, ["finetune={start: scratch, algorithm: {type: sac}, replay_capacity: 1000}"])
    assert settings.finetune.algorithm == SACSettings()
    search = ["search.space.finetune.start=[pretrained, scratch]", "search.space.finetune.algorithm.bc_alpha=[2.5]"]
    assert load_experiment(None, search).search is not None


def test_a_partial_section_keeps_the_defaults_of_its_field() -> None:
    """ExpertSettings has its own batch size, which is not that of TD3Settings."""
    settings = load_settings(ExpertSettings, None, ["algorithm.gamma=0.9"])
    assert settings.algorithm == TD3Settings(batch_size=ExpertSettings().algorithm.batch_size, gamma=0.9)
    assert differences(settings) == {"algorithm": {"gamma": 0.9}}
    assert with_settings(settings, {"seed": 1}).algorithm == settings.algorithm
    assert load_settings(ExpertSettings, None, ["algorithm.type=sac"]).algorithm == SACSettings()


def test_with_settings_switches_types_and_refuses_mistakes() -> None:
    base = ExperimentSettings(curriculum=AdaptiveCurriculum(beta=0.2), data=MinariData(dataset="a/b-v0"))
    before = copy.deepcopy(base)
    changed = with_settings(base, {"curriculum.kappa": 0.9, "finetune.algorithm.tau": 0.01})
    assert changed.curriculum == AdaptiveCurriculum(beta=0.2, kappa=0.9)
    assert changed.finetune.algorithm.tau == 0.01
    assert changed.data == base.data
    assert with_settings(base, {"curriculum.type": "linear"}).curriculum == LinearCurriculum()
    assert with_settings(base, {"curriculum": {"type": "fixed", "q": 0.1}}).curriculum == FixedCurriculum(q=0.1)
    assert base == before
    with pytest.raises(ConfigError, match=r"^curriculum\.kapa is not a setting; did you mean curriculum\.kappa\?$"):
        with_settings(base, {"curriculum.kapa": 0.9})


def test_differences_load_back_to_the_same_settings() -> None:
    settings = ExperimentSettings(
        seed=3,
        output=Path("somewhere"),
        curriculum=AdaptiveCurriculum(beta=0.2),
        finetune=FinetuneSettings(algorithm=TD3Settings(hidden_sizes=(8, 8))),
        pretrain=PretrainSettings(algorithm=TD3BCSettings(hidden_sizes=(8, 8))),
    )
    tree = differences(settings)
    assert tree == {
        "seed": 3,
        "output": "somewhere",
        "finetune": {"algorithm": {"hidden_sizes": [8, 8]}},
        "pretrain": {"algorithm": {"hidden_sizes": [8, 8]}},
        "curriculum": {"type": "adaptive", "beta": 0.2},
    }
    assert with_settings(ExperimentSettings(), tree) == settings
    assert differences(ExperimentSettings()) == {}


def test_fingerprint_follows_values_not_spelling(tmp_path: Path) -> None:
    explicit = load("seed: 0\nfinetune: {steps: 1000000}\n", folder=tmp_path)
    assert settings_fingerprint(explicit) == settings_fingerprint(ExperimentSettings())
    assert settings_fingerprint(ExperimentSettings(seed=1)) != settings_fingerprint(explicit)
    assert len(settings_fingerprint(explicit)) == 64
