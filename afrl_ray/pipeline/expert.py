"""`afrl train-expert`: the policy behind the embedded data set, made by this project's own online TD3 or SAC."""

from pathlib import Path
from typing import Any

import numpy as np

from afrl_ray.algorithms import OffPolicyConfig, algorithm_config
from afrl_ray.config import ExpertSettings, RuntimeSettings
from afrl_ray.envs import Robot, find_robot, resolve_environment, simulator
from afrl_ray.envs.robots import did_you_mean
from afrl_ray.networks import Policy, save_policy_file
from afrl_ray.pipeline.alone import alone_in
from afrl_ray.pipeline.artifacts import Stage, command_line, git_commit, package_versions, write_json
from afrl_ray.pipeline.cluster import connect
from afrl_ray.pipeline.progress import progress, say
from afrl_ray.pipeline.training import Training
from afrl_ray.rollouts import run_episodes
from afrl_ray.seeding import derive_seed

_STEPS_PER_ROUND = 100


def train_expert(settings: ExpertSettings, directory: Path) -> dict[str, Any]:
    """Train, or go on training, in `directory`; returns the training record.

    Leaves `expert.safetensors` and `expert.json` (command, seed, commit, curve, score) in `directory`.

    Raises:
        ValueError: the environment is not a registered robot, so that there is no score to train for.
        BlockingIOError: another process is at work in `directory`.
    """
    robot = find_robot(settings.environment.id)
    if robot is None:
        name = settings.environment.id
        remedy = did_you_mean(name) or "; add it to ROBOTS in afrl_ray/envs/robots.py"
        raise ValueError(f"{name} is not a registered robot{remedy}")
    environment = settings.environment.model_copy(update={"id": resolve_environment(settings.environment.id)})
    settings = settings.model_copy(update={"environment": environment})
    # more steps continue an earlier training, so they are no part of its identity
    stage = Stage("expert", directory, settings.model_dump(mode="json", exclude={"steps", "final_episodes"}), {})
    with alone_in(directory, directory.with_name(f".{directory.name}.lock")):  # begin() may move the folder
        stage.begin()
        connect(RuntimeSettings())
        algorithm = _algorithm_config(settings).training(replay_log=str(directory / "replay")).build_algo()
        training = Training.load(algorithm, directory / "checkpoint") or Training(algorithm)
        try:
            _train(training, settings, robot, directory)
            return _write_expert(training, settings, robot, directory)
        finally:
            algorithm.stop()


def _algorithm_config(settings: ExpertSettings) -> OffPolicyConfig:
    return (
        algorithm_config(settings.algorithm)
        .simulation(settings.environment)
        .training(random_steps=settings.random_steps, replay_capacity=1_000_000)
        .env_runners(
            num_envs_per_env_runner=settings.num_envs,
            rollout_fragment_length=_STEPS_PER_ROUND // settings.num_envs,
        )
        .reporting(min_sample_timesteps_per_iteration=1000, min_time_s_per_iteration=0)
        .debugging(seed=settings.seed, log_level="ERROR")
    )


def _train(training: Training, settings: ExpertSettings, robot: Robot, directory: Path) -> None:
    done = training.algorithm.step_count
    with progress(f"expert {robot.name}", settings.steps, "steps") as report:
        report.update(done)
        while done < settings.steps:
            evaluations = done // settings.evaluation_interval + 1
            next_step = min(evaluations * settings.evaluation_interval, settings.steps)
            training.advance(next_step, lambda step: report.update(step, _note(training)))
            done = next_step
            scores = _scores(training.algorithm.evaluation_policy(), settings, robot, "validation")
            training.record({"score": float(scores.mean()), "lowest": float(scores.min())}, float(scores.mean()))
            training.save_atomically(directory / "checkpoint")
            write_json(directory / "curve.json", training.curve)


def _note(training: Training) -> str:
    if not training.curve or training.best is None:
        return ""
    return f"score {training.curve[-1]['score']:.1f}, best {training.best.score:.1f} at {training.best.step:,}"


def _scores(policy: Policy, settings: ExpertSettings, robot: Robot, purpose: str) -> Any:
    """Normalised score of every episode, (episodes,)."""
    count = settings.evaluation_episodes if purpose == "validation" else settings.final_episodes
    seeds = [derive_seed(settings.seed, "expert", purpose, episode) for episode in range(count)]
    deltas = np.zeros((count, policy.action_size), dtype=np.float32)
    return robot.normalized_score(run_episodes(policy, settings.environment, seeds, deltas).returns)


def _write_expert(training: Training, settings: ExpertSettings, robot: Robot, directory: Path) -> dict[str, Any]:
    best = training.best
    assert best is not None
    scores = _scores(best.policy, settings, robot, "test")
    record = {
        "robot": robot.name,
        "command": command_line(),
        "settings": settings.model_dump(mode="json"),
        "seed": settings.seed,
        "commit": git_commit(),
        "versions": package_versions(),
        "simulator": simulator(settings.environment),
        "chosen_at_step": best.step,
        "validation_score": best.score,
        "score": {
            "mean": float(scores.mean()),
            "standard_error": float(scores.std(ddof=1) / np.sqrt(len(scores))),
            "lowest": float(scores.min()),
            "episodes": len(scores),
        },
        "curve": training.curve,
    }
    origin = {key: record[key] for key in ("robot", "command", "seed", "commit", "score")}
    save_policy_file(best.policy, directory / "expert.safetensors", origin)
    write_json(directory / "expert.json", record)
    say(
        f"expert {robot.name}: normalised score {record['score']['mean']:.1f} "
        f"± {record['score']['standard_error']:.1f} over {len(scores)} episodes, in {directory}"
    )
    return record
