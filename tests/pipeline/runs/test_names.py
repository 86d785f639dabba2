from typing import Any

import pytest

from afrl_ray.config import ExperimentSettings
from afrl_ray.pipeline.runs.names import file_name, file_names, trial_name, unique_name

ADAPTIVE = {"type": "adaptive", "beta": 0.1}


def named(**changes: Any) -> str:
    varied = {name.replace("__", "."): value for name, value in changes.items()}
    return trial_name(ExperimentSettings(name="sweep"), varied)


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
