"""The bundled experts are what their records say."""

import numpy as np
import pytest

from afrl_ray.config import EnvironmentSettings
from afrl_ray.datasets.generated import expert_path
from afrl_ray.envs import make_vector_env
from afrl_ray.envs.robots import ROBOTS, Robot
from afrl_ray.networks import load_policy_file
from afrl_ray.pipeline.artifacts import read_json
from afrl_ray.rollouts import run_episodes

WANTED = {"hopper": 95.0, "halfcheetah": 75.0, "walker2d": 90.0, "ant": 90.0}
FOLDER = expert_path("hopper").parent
BUNDLED = [robot for robot in ROBOTS if (FOLDER / f"{robot.name}.safetensors").exists()]
every_robot = pytest.mark.parametrize("robot", BUNDLED, ids=lambda one: one.name)


def test_these_robots_have_one() -> None:
    assert set(WANTED) <= {robot.name for robot in BUNDLED}


@every_robot
def test_its_record_says_how_it_was_made_and_what_it_is_worth(robot: Robot) -> None:
    path = expert_path(robot.name)
    record = read_json(path.with_suffix(".json"))
    _, origin = load_policy_file(path)
    assert path.stat().st_size < 1_000_000
    assert record["command"].startswith(f"afrl train-expert {robot.name}")
    assert record["score"]["episodes"] == 100
    assert record["score"]["mean"] >= WANTED.get(robot.name, 90.0)
    assert {name: origin[name] for name in ("robot", "seed", "commit", "score")} == {
        name: record[name] for name in ("robot", "seed", "commit", "score")
    }
    assert record["simulator"] == {"backend": "envpool", "mujoco": "3.6.0"}  # not the `mujoco` among its versions
    chosen = next(row for row in record["curve"] if row["step"] == record["chosen_at_step"])
    assert chosen["score"] == record["validation_score"] == max(row["score"] for row in record["curve"])


@pytest.mark.slow
@every_robot
def test_it_plays_as_well_as_its_record_says(robot: Robot) -> None:
    policy, origin = load_policy_file(expert_path(robot.name))
    environment = EnvironmentSettings(id=robot.environment_ids[0])
    env = make_vector_env(environment, [0])
    assert (policy.observation_size, policy.action_size) == (env.observation_space.shape[0], env.action_space.shape[0])
    env.close()
    seeds = range(7_000, 7_010)  # no seeds that a training derives
    returns = run_episodes(policy, environment, seeds, np.zeros((10, policy.action_size), np.float32)).returns
    scores = robot.normalized_score(returns)
    spread = 10 * origin["score"]["standard_error"]  # of one episode: the record has a hundred
    assert scores.mean() == pytest.approx(origin["score"]["mean"], abs=4 * spread / np.sqrt(10) + 1)
