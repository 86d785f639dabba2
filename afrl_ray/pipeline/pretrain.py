"""Stage: offline pretraining to an RLlib checkpoint."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.utils.metrics import LEARNER_RESULTS

from afrl_ray.algorithms import ReplayLog, algorithm_config, complete_replay, load_module
from afrl_ray.datasets import Transitions, observation_statistics
from afrl_ray.evaluation.conditions import EvaluationPlan
from afrl_ray.evaluation.evaluate import evaluate
from afrl_ray.evaluation.statistics import score_column
from afrl_ray.networks import CriticGradients, Policy, load_policy_file, save_policy_file
from afrl_ray.perturbations import Body, Multiplicative
from afrl_ray.pipeline.artifacts import Stage
from afrl_ray.pipeline.cluster import connect
from afrl_ray.pipeline.counters import TrainingCounters
from afrl_ray.pipeline.data import data_stage, make_data
from afrl_ray.pipeline.experiment import Experiment
from afrl_ray.pipeline.progress import progress, say
from afrl_ray.pipeline.training import Training, crosses
from afrl_ray.rollouts import LocalRollouts
from afrl_ray.scheduling import pretrain_bundle
from afrl_ray.seeding import derive_seed
from afrl_ray.telemetry import event
from afrl_ray.telemetry.board import board

_CHECKPOINT = "checkpoint"
_POLICY = "policy.safetensors"
_UPDATES_PER_ITERATION = 500
_CHECKPOINT_SECONDS = 300.0
"""After so long an evaluation is followed by a checkpoint whatever checkpoint_interval says: CQL takes an hour for what
TD3+BC does in five minutes."""


def pretrain_stage(experiment: Experiment, data: Stage) -> Stage:
    return experiment.stage("pretrain", "pretrain", {"data": data.key})


def offline_checkpoint(stage: Stage) -> Path:
    """The RLlib checkpoint that `Algorithm.from_checkpoint` loads."""
    return Training.saved_algorithm(stage.directory / _CHECKPOINT)


def offline_policy(stage: Stage) -> Policy:
    return load_policy_file(stage.directory / _POLICY)[0]


def offline_networks(stage: Stage) -> dict[str, torch.Tensor]:
    """Networks and normaliser to start fine-tuning from."""
    return dict(load_module(offline_checkpoint(stage)).state_dict())


def offline_critic(stage: Stage) -> CriticGradients:
    """The first critic, for faults that descend on it."""
    critic = load_module(offline_checkpoint(stage)).critic_gradients()
    assert critic is not None
    return critic


def pretrain(experiment: Experiment) -> Stage:
    """Pretrain on the configured data, from the last checkpoint if interrupted before."""
    with board.stage("data"):
        data, transitions = make_data(experiment)
    with board.stage("pretrain"):
        return _pretrain_on(experiment, data, transitions)


def load_pretrained(experiment: Experiment) -> Stage:
    """What `pretrain` returned when it was finished, wherever that was."""
    data = data_stage(experiment)
    stage = pretrain_stage(experiment, data)
    data.refresh()
    stage.refresh()
    return stage


def _pretrain_on(experiment: Experiment, data: Stage, transitions: Transitions) -> Stage:
    stage, settings = pretrain_stage(experiment, data), experiment.settings
    if stage.finished():
        say(f"pretrain: kept, {stage.location}")
        return stage
    stage.begin()
    connect(settings.runtime)
    training = _start_or_resume(experiment, transitions, stage)
    parameters = settings.model_dump(mode="json", include={"pretrain", "environment", "seed"})
    try:
        with experiment.tracker.child_run(stage.directory.name, parameters=parameters) as run:
            _train(experiment, training, stage, run)
            policy = training.algorithm.evaluation_policy()
            save_policy_file(policy, stage.directory / _POLICY, {"stage": "pretrain", "key": stage.key})
            outputs = {"policy_hash": policy.fingerprint(), "score": training.curve[-1]["normal"]}
            finish_with_replay(stage, {**outputs, "checkpoint": str(offline_checkpoint(stage))}, settings.seed)
            run.set_tags({"afrl.checkpoint": offline_checkpoint(stage)})
    finally:
        training.algorithm.stop()
    say(f"pretrain: {settings.pretrain.updates:,} updates, validation score {outputs['score']:.1f}")
    return stage


def finish_with_replay(stage: Stage, outputs: Mapping[str, Any], seed: int) -> None:
    """Complete the checkpoint with its rows and declare the stage complete.

    The log of the rows goes last: until then a published checkpoint names its files.
    """
    complete_replay(stage.directory / _CHECKPOINT, _replay_log(stage))
    stage.finish(outputs, seed)
    ReplayLog(_replay_log(stage)).delete()


def _replay_log(stage: Stage) -> str:
    return f"{stage.location}/replay"


def _start_or_resume(experiment: Experiment, transitions: Transitions, stage: Stage) -> Training:
    settings = experiment.settings
    config = (
        algorithm_config(settings.pretrain.algorithm)
        .simulation(settings.environment)
        .training(
            replay_capacity=len(transitions),
            replay_log=_replay_log(stage),
            updates_per_round=min(_UPDATES_PER_ITERATION, settings.pretrain.evaluation_interval),
            torch_threads=settings.runtime.pretrain_threads,
        )
        .reporting(min_time_s_per_iteration=0)
        .debugging(seed=derive_seed(settings.seed, "pretrain"), log_level="ERROR")
    )
    if settings.runtime.device == "cuda":
        config.learners(num_gpus_per_learner=pretrain_bundle(settings.runtime)["GPU"])
    algorithm = config.build_algo()
    restored = Training.load(algorithm, stage.directory / _CHECKPOINT)
    if restored:
        return restored
    algorithm.set_observation_statistics(*observation_statistics(transitions.observations))
    algorithm.load_transitions(transitions.columns())
    return Training(algorithm)


def _train(experiment: Experiment, training: Training, stage: Stage, run: Any) -> None:
    settings, algorithm = experiment.settings.pretrain, training.algorithm
    counters, saved_at = TrainingCounters(algorithm), time.monotonic()
    with progress("pretrain", settings.updates, "updates") as report:
        report.update(algorithm.step_count)
        while algorithm.step_count < settings.updates:
            before = algorithm.step_count
            evaluations = before // settings.evaluation_interval + 1
            until = min(evaluations * settings.evaluation_interval, settings.updates)
            note = f"score {training.curve[-1]['normal']:.1f}" if training.curve else ""

            def on_progress(step: int, note: str = note) -> None:
                counters.read()
                report.update(step, note)
                event("pretraining goes on", updates=step)

            result = training.advance(until, on_progress)
            score = _nominal_score(experiment, algorithm.evaluation_policy())
            training.record({"normal": score}, score)
            losses = result[LEARNER_RESULTS][DEFAULT_MODULE_ID]
            run.log_metrics(
                {
                    "score/normal": score,
                    "loss/critic": losses.get("critic_loss"),
                    "loss/actor": losses.get("actor_loss"),
                    "loss/state_value": losses.get("state_value_loss"),
                    "value/q_mean": losses.get("q_value_mean"),
                    "value/conservative_gap": losses.get("conservative_gap"),
                    "policy/advantage_weight": losses.get("advantage_weight_mean"),
                    "policy/entropy": losses.get("entropy"),
                    "policy/temperature": losses.get("temperature"),
                },
                step=algorithm.step_count,
            )
            due = crosses(settings.checkpoint_interval, before, algorithm.step_count)
            due = due or time.monotonic() - saved_at > _CHECKPOINT_SECONDS
            if due or algorithm.step_count >= settings.updates:
                training.save_atomically(stage.directory / _CHECKPOINT)
                stage.keep()
                saved_at = time.monotonic()


def _nominal_score(experiment: Experiment, policy: Policy) -> float:
    settings = experiment.settings
    no_fault = Multiplicative(0.0, Body.of(policy))
    plan = EvaluationPlan(settings.seed, "validation", settings.pretrain.evaluation_episodes, no_fault)
    runner = LocalRollouts(policy, settings.environment)
    rows = evaluate(runner, [plan.under("normal")], policy="offline", robot=experiment.robot)
    return float(np.mean(rows[score_column(rows)]))
