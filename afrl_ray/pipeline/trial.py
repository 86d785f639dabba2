"""One fine-tuning trial: adversarial training from the offline checkpoint or from scratch, evaluated and steered."""

import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ray import tune
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.utils.metrics import ENV_RUNNER_RESULTS, EPISODE_RETURN_MEAN, LEARNER_RESULTS

from afrl_ray.algorithms import OffPolicyConfig, algorithm_config, hand_over
from afrl_ray.attacks import AttackBank, BankClient, BankSource
from afrl_ray.config import ExperimentSettings, trial_experiment
from afrl_ray.curriculum.schedules import CurriculumState, initial_state, next_state
from afrl_ray.datasets import Transitions
from afrl_ray.envs import find_robot
from afrl_ray.evaluation.conditions import CONDITIONS, EvaluationPlan
from afrl_ray.evaluation.evaluate import evaluate
from afrl_ray.evaluation.statistics import mixture_score, score_column
from afrl_ray.networks import CriticGradients, save_policy_file
from afrl_ray.perturbations import Body, StepwisePGD, make_fault
from afrl_ray.pipeline.artifacts import read_json, write_json
from afrl_ray.pipeline.meter import TrainingMeter
from afrl_ray.pipeline.search import trial_name
from afrl_ray.pipeline.training import Training
from afrl_ray.rollouts import LocalRollouts
from afrl_ray.scheduling import bundle, trial_bundles
from afrl_ray.seeding import derive_seed
from afrl_ray.telemetry import bind, configure_logs, event, job_of

STEPS_PER_ROUND = 100
LATEST_POLICY = "latest.safetensors"
_CURRICULUM = "curriculum.json"
_LEARNER_METRICS = ("critic_loss", "actor_loss", "q_value_mean", "entropy", "temperature")


@dataclass(frozen=True)
class TrialInputs:
    """What all trials of a sweep start from; lives once in the object store."""

    transitions: Transitions
    pretrained: dict[str, torch.Tensor]
    validation_bank: AttackBank
    client: BankClient
    """Of the actor that holds the training bank and every trial's q."""
    critic: CriticGradients
    """The pretrained one."""
    replay_logs: str | None = None
    """Folder or URI below which each trial writes the rows of its replay, each once; None: all into each checkpoint."""


class FinetuneTrial(tune.Trainable):  # type: ignore[misc]
    """Tune trial whose every step is: train for one interval, evaluate, report.

    The first step reports the start itself, at 0 environment steps: the hand-over, or fresh networks.
    `trial_experiment(config)` is the trial's whole experiment.
    """

    def setup(self, config: dict[str, Any], inputs: TrialInputs) -> None:  # type: ignore[override]
        experiment = trial_experiment(config)
        self._settings = ExperimentSettings.model_validate(experiment)
        name = config.get("name") or trial_name(experiment, config.get("varied", {}))
        bind(job=job_of(self._settings.name), stage="finetune", trial=self.trial_id, trial_name=name)
        configure_logs(self._settings.runtime.log_format)
        self._inputs = inputs
        self._robot = find_robot(self._settings.environment.id)
        perturbation = self._settings.perturbation
        self._source = BankSource(
            inputs.client,
            self.trial_id,
            perturbation.condition,
            initial_state(self._settings.curriculum),
            perturbation.pgd,
            inputs.critic if perturbation.pgd.critic == "pretrained" else None,
            inputs.critic.observation_std,
        )
        config = trial_algorithm_config(self._settings, self._source).training(replay_log=self._replay_log())
        algorithm = config.build_algo()
        if self._settings.finetune.start == "pretrained":
            self._settings.require_room_for(len(inputs.transitions))
            hand_over(inputs.pretrained, algorithm)
            offline = offline_share(inputs.transitions, self._settings)
            if len(offline):
                algorithm.load_transitions(offline.columns())
        self._training = Training(algorithm)
        self._meter = TrainingMeter(algorithm, perturbation.condition)
        self._source.set_state(self._source.last_state)
        event("trial starts")

    def step(self) -> dict[str, Any]:
        finetune = self._settings.finetune
        state = self._state_in_force()
        result: Mapping[str, Any] = {}
        speed = float("nan")
        if self._training.curve:
            before, started = self._training.algorithm.step_count, time.perf_counter()
            until = min(len(self._training.curve) * finetune.evaluation_interval, finetune.steps)
            result = self._training.advance(until, lambda _step: self._meter.read())
            speed = (self._training.algorithm.step_count - before) / (time.perf_counter() - started)
        scores = self._validation_scores()
        average = state.average if self._settings.curriculum.type == "adaptive" else None  # no other rule keeps one
        row = {"env_steps": self._training.algorithm.step_count, **scores, "q": state.q, "average": average}
        self._training.record(row, scores["mean"])
        best = self._training.best
        assert best is not None
        event("evaluated", **row, steps_per_second=round(speed, 1))
        return {
            "env_steps": row["env_steps"],
            "score": scores,
            "score_mean": scores["mean"],
            "best_score": best.score,
            "best_env_steps": best.step,
            "q": state.q,
            "smoothed_score": average,
            "curriculum": asdict(state),
            "curriculum_score": self._curriculum_score(scores, state) / 100.0,
            "total_evaluations": total_evaluations(self._settings),
            "steps_per_second": speed,
            "lost_env_runners": self._training.algorithm.lost_env_runners,
            **_training_metrics(result),
            "done": row["env_steps"] >= finetune.steps,
        }

    def _replay_log(self) -> str | None:
        return replay_log(self._inputs.replay_logs, self.trial_id) if self._inputs.replay_logs else None

    def _validation_scores(self) -> dict[str, float]:
        """Mean score under each condition and over the main ones, on validation episodes and the validation bank.

        Under pgd, and on the pretrained critic, only where the training needs it.
        """
        policy, perturbation = self._training.algorithm.evaluation_policy(), self._settings.perturbation
        bank = self._inputs.validation_bank
        body = replace(Body.of(policy), observation_std=self._inputs.critic.observation_std)
        fault = make_fault(bank.fault, body)
        plan = EvaluationPlan(self._settings.seed, "validation", self._settings.finetune.validation_episodes, fault)
        episodes = [plan.under(condition, bank=bank.members(fault)) for condition in CONDITIONS]
        if perturbation.condition == "pgd":
            pgd = StepwisePGD(fault.magnitude, body, perturbation.pgd, self._inputs.critic)
            episodes.append(plan.under("pgd", fault=pgd))
        rows = evaluate(LocalRollouts(policy, self._settings.environment), episodes, policy="trial", robot=self._robot)
        means = rows.groupby("condition")[score_column(rows)].mean()
        scores = {str(name): float(mean) for name, mean in means.items()}
        return {**scores, "mean": float(means[list(CONDITIONS)].mean())}

    def _state_in_force(self) -> CurriculumState:
        """The curriculum's state for the next interval: one step behind each evaluation so far.

        The scheduler takes those steps and tells the bank's actor. Where the actor missed one, or is ahead of a
        checkpoint that was gone back to, the learning curve says what the state is.
        """
        last, curve = self._source.last_state, self._training.curve
        known = self._source.hold()
        state = known if known.evaluations <= len(curve) else last
        for row in curve[state.evaluations :]:
            score = self._curriculum_score(row, state) / 100.0
            state = next_state(self._settings.curriculum, state, score, total_evaluations(self._settings))
        if state != known:
            self._source.set_state(state)
        if self._settings.runtime.num_env_runners:
            self._training.algorithm.env_runner_group.foreach_env_runner(
                lambda runner: runner.config.perturbation_source.take_over(state), local_env_runner=False
            )
        return state

    def _curriculum_score(self, scores: Mapping[str, float], state: CurriculumState) -> float:
        wanted = getattr(self._settings.curriculum, "score", "mixture")
        if wanted == "mixture":
            return mixture_score(scores, self._settings.perturbation.condition, state.q)
        return scores[wanted]

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Everything: networks, optimizers, replay, generators, learning curve, best policy and curriculum."""
        directory = Path(checkpoint_dir)
        self._training.save(directory)
        save_policy_file(self._training.algorithm.evaluation_policy(), directory / LATEST_POLICY)
        write_json(directory / _CURRICULUM, asdict(self._source.hold()))  # it has moved since the result

    def load_checkpoint(self, checkpoint_dir: str) -> None:
        directory = Path(checkpoint_dir)
        training = Training.load(self._training.algorithm, directory)
        if training is None:
            raise FileNotFoundError(f"no trial checkpoint in {directory}")
        self._training = training
        self._meter = TrainingMeter(training.algorithm, self._settings.perturbation.condition)
        event("restored", env_steps=training.algorithm.step_count)
        self._source.set_state(CurriculumState(**read_json(directory / _CURRICULUM)))

    def cleanup(self) -> None:
        self._training.algorithm.stop()


def replay_log(replay_logs: str, trial_id: str) -> str:
    """Where the replay's rows of one trial lie."""
    return f"{replay_logs}/{trial_id}"


def total_evaluations(settings: ExperimentSettings) -> int:
    """K, the number of evaluations that move q; the one after the last step moves nothing."""
    return -(-settings.finetune.steps // settings.finetune.evaluation_interval)


def trial_algorithm_config(settings: ExperimentSettings, source: BankSource | None) -> OffPolicyConfig:
    """The RLlib configuration of a fine-tuning trial."""
    finetune, perturbation, runtime = settings.finetune, settings.perturbation, settings.runtime
    runners = max(runtime.num_env_runners, 1)
    own, runner = trial_bundles(runtime)[0], bundle(runtime.resources.env_runner)
    per_round = steps_per_round(settings)
    config = (
        algorithm_config(finetune.algorithm)
        .simulation(settings.environment)
        .training(
            perturbation_source=source,
            acting_critics=perturbation.condition == "pgd" and perturbation.pgd.critic == "current",
            replay_capacity=finetune.replay_capacity,
            random_steps=finetune.random_steps if finetune.start == "scratch" else 0,
        )
        .env_runners(
            num_env_runners=runtime.num_env_runners,
            num_envs_per_env_runner=finetune.num_envs,
            rollout_fragment_length=per_round // (finetune.num_envs * runners),
            num_cpus_per_env_runner=runner.get("CPU", 0.0),
            num_gpus_per_env_runner=runner.get("GPU", 0.0),
            custom_resources_per_env_runner=dict(runtime.resources.env_runner.custom),
        )
        .reporting(
            min_sample_timesteps_per_iteration=steps_per_iteration(settings, per_round),
            min_time_s_per_iteration=0,
        )
        .debugging(seed=derive_seed(settings.seed, "finetune"), log_level="ERROR")
    )
    if runtime.device == "cuda":
        config.learners(num_gpus_per_learner=own["GPU"])
    return config


def steps_per_round(settings: ExperimentSettings) -> int:
    """Environment steps from updates to updates: at most 100, and no more than from evaluation to evaluation, or one of
    each environment where these are more."""
    together = settings.finetune.num_envs * max(settings.runtime.num_env_runners, 1)
    longest = min(STEPS_PER_ROUND, settings.finetune.evaluation_interval)
    return max(longest // together, 1) * together


def steps_per_iteration(settings: ExperimentSettings, per_round: int) -> int:
    """Environment steps of one `train()`: at most 1,000, in whole rounds, and such that evaluations and the end are met
    exactly; one round where that cannot be, so that they are missed by less than a round."""
    common = math.gcd(settings.finetune.evaluation_interval, settings.finetune.steps)
    longest = max(1000 // per_round, 1) * per_round
    return next((steps for steps in range(longest, 0, -per_round) if common % steps == 0), per_round)


def offline_share(transitions: Transitions, settings: ExperimentSettings) -> Transitions:
    """The uniformly drawn part of the offline data that the replay starts with."""
    count = round(settings.finetune.offline_ratio * len(transitions))
    if count == len(transitions):
        return transitions
    generator = np.random.default_rng(derive_seed(settings.seed, "finetune", "offline_share"))
    return transitions.subset(np.sort(generator.choice(len(transitions), size=count, replace=False)))


def _training_metrics(result: Mapping[str, Any]) -> dict[str, float]:
    learner = result.get(LEARNER_RESULTS, {}).get(DEFAULT_MODULE_ID, {})
    metrics = {name: float(learner[name]) for name in _LEARNER_METRICS if name in learner}
    episode_return = result.get(ENV_RUNNER_RESULTS, {}).get(EPISODE_RETURN_MEAN)
    return metrics if episode_return is None else {**metrics, "episode_return_mean": float(episode_return)}
