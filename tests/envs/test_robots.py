import re
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import torch

from afrl_ray.config import EnvironmentSettings, GeneratedData
from afrl_ray.datasets import load_transitions
from afrl_ray.datasets.generated import expert_path
from afrl_ray.envs import Robot, find_robot, make_vector_env, resolve_environment, robots, simulator
from afrl_ray.evaluation.conditions import EvaluationPlan
from afrl_ray.evaluation.evaluate import evaluate
from afrl_ray.networks import Policy, save_policy_file
from afrl_ray.perturbations import Body, Multiplicative
from afrl_ray.rollouts import LocalRollouts

EXTENDING = Path(__file__).parents[2] / "docs" / "extending.md"


@pytest.mark.parametrize("robot", robots.ROBOTS, ids=lambda robot: robot.name)
def test_a_robot_is_found_by_all_of_its_names(robot: Robot) -> None:
    names = [robot.name, robot.name.upper(), *robot.environment_ids, f"{robot.name}-medium-replay-v2"]
    assert {find_robot(name) for name in names} == {robot}


@pytest.mark.parametrize("robot", robots.ROBOTS, ids=lambda robot: robot.name)
def test_both_versions_can_be_made_and_v4_is_the_default(robot: Robot) -> None:
    assert [name.rpartition("-")[2] for name in robot.environment_ids] == ["v4", "v5"]
    for environment_id in robot.environment_ids:
        assert resolve_environment(environment_id) == environment_id
        env = make_vector_env(EnvironmentSettings(id=environment_id), [0])
        assert env.reset().shape == (1, *env.observation_space.shape)
        env.close()


@pytest.mark.parametrize(
    ("name", "environment_id"),
    [
        ("hopper-expert-v2", "Hopper-v4"),
        ("Hopper-v2", "Hopper-v4"),
        ("halfcheetah-medium-v0", "HalfCheetah-v4"),
        ("walker2d-random-v1", "Walker2d-v4"),
        ("ant-medium-v2", "Ant-v4"),
    ],
)
def test_d4rl_names_mean_the_v4_environment(name: str, environment_id: str) -> None:
    assert resolve_environment(name) == environment_id


@pytest.mark.parametrize("name", ["antmaze-umaze-v2", "Hopper-v3", "my_package:Hopper-v2", "hopper2-expert-v2", ""])
def test_other_names_are_nobodys(name: str) -> None:
    assert find_robot(name) is None
    assert resolve_environment(name) == name


@pytest.mark.parametrize(
    ("name", "meant"),
    [("hoper", "hopper"), ("HalfCheeta-v4", "HalfCheetah-v4"), ("WALKER2D", "walker2d"), ("Swimmer-v4", None)],
)
def test_near_names_are_offered(name: str, meant: str | None) -> None:
    assert robots.did_you_mean(name) == (f"; did you mean {meant}?" if meant else "")


def test_scores_are_d4rls() -> None:
    hopper = find_robot("hopper")
    assert hopper is not None
    # (1000 − −20.272305) / (3234.3 − −20.272305) = 0.313488...
    np.testing.assert_allclose(hopper.normalized_score([-20.272305, 3234.3, 1000.0]), [0, 100, 31.34886], atol=1e-4)


def test_the_entry_in_the_docs_is_all_that_a_new_robot_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    block = re.search(r"```python\n(.*?)```", EXTENDING.read_text(encoding="utf-8"), re.DOTALL)
    assert block is not None
    assert len(block[1].splitlines()) < 30
    robot = eval(block[1], {"Robot": Robot})
    monkeypatch.setattr(robots, "ROBOTS", (*robots.ROBOTS, robot))

    environment = EnvironmentSettings(id="doublependulum", max_episode_steps=30)
    with pytest.raises(FileNotFoundError, match="run `afrl train-expert doublependulum`"):
        expert_path(environment.id)
    torch.manual_seed(0)
    policy = Policy(11, [-1.0], [1.0], (8,)).eval()
    save_policy_file(policy, tmp_path / "policy.safetensors")
    data = GeneratedData(policy=str(tmp_path / "policy.safetensors"), transitions=50)
    assert len(load_transitions(data, environment, seed=0)) == 50

    plan = EvaluationPlan(0, "test", 2, Multiplicative(robot.epsilon, Body.of(policy)))
    rows = evaluate(
        LocalRollouts(policy, environment), [plan.under("random")], policy="still", robot=find_robot("doublependulum")
    )
    np.testing.assert_allclose(rows["normalised_score"], 100 * (rows["return"] - 59.0) / (9360 - 59.0))


def test_a_simulator_has_its_own_mujoco() -> None:
    assert simulator(EnvironmentSettings(backend="gymnasium")) == {"backend": "gymnasium", "mujoco": version("mujoco")}
    pytest.importorskip("envpool")
    by_envpool = simulator(EnvironmentSettings(id="hopper"))
    assert by_envpool["backend"] == "envpool"
    assert re.fullmatch(r"[23]\.\d+\.\d+", by_envpool["mujoco"])  # 3.6.0 in EnvPool 1.2.5, beside mujoco 4.0.0
