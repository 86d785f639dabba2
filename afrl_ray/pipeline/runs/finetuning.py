"""A fine-tuning under way: adversarial training from the offline checkpoint or from scratch, evaluated and steered."""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ray.rllib.utils.metrics import ENV_RUNNER_RESULTS, EPISODE_RETURN_MEAN

from afrl_ray.algorithms import hand_over
from afrl_ray.attacks import AttackBank, BankClient, BankSource
from afrl_ray.config import ExperimentSettings
from afrl_ray.curriculum.schedules import CurriculumState, initial_state, next_state, total_evaluations
from afrl_ray.datasets import Transitions
from afrl_ray.envs import find_robot
from afrl_ray.evaluation.conditions import CONDITIONS, EvaluationPlan
from afrl_ray.evaluation.evaluate import evaluate
from afrl_ray.evaluation.statistics import mixture_score, score_column
from afrl_ray.networks import CriticGradients, save_policy_file
from afrl_ray.perturbations import Body, StepwisePGD, make_fault
from afrl_ray.pipeline.counters import TrainingCounters
from afrl_ray.pipeline.runs.configuration import trial_algorithm_config
from afrl_ray.pipeline.runs.run import PolicyKind
from afrl_ray.pipeline.training import Training, learner_metrics
from afrl_ray.rollouts import LocalRollouts
from afrl_ray.seeding import derive_seed
from afrl_ray.telemetry import event

LATEST_POLICY = "latest.safetensors"


@dataclass(frozen=True)
class Inputs:
    """What a fine-tuning starts from."""

    transitions: Transitions
    pretrained: dict[str, torch.Tensor]
    validation_bank: AttackBank
    client: BankClient
    """Of the actor that holds the training bank and every trial's q."""
    critic: CriticGradients
    """The pretrained one."""
    replay_log: str | None = None
    """Folder or URI for the rows of its replay, each written once; None: all into each checkpoint."""


class FineTuning:
    """A training that is evaluated every `finetune.evaluation_interval` environment steps, at its start too.

    q follows from its learning curve alone: the bank's actor, which env runners in other processes ask, is told.
    """

    def __init__(self, settings: ExperimentSettings, inputs: Inputs, trial_id: str) -> None:
        """`trial_id` is what the bank's actor knows it by.

        Raises:
            ValueError: the replay cannot hold the offline transitions that it starts with.
        """
        self._settings = settings
        self._inputs = inputs
        self._robot = find_robot(settings.environment.id)
        perturbation = settings.perturbation
        self._source = BankSource(
            inputs.client,
            trial_id,
            perturbation.condition,
            initial_state(settings.curriculum),
            perturbation.pgd,
            inputs.critic if perturbation.pgd.critic == "pretrained" else None,
            inputs.critic.observation_std,
        )
        config = trial_algorithm_config(settings, self._source).training(replay_log=inputs.replay_log)
        algorithm = config.build_algo()
        if settings.finetune.start == "pretrained":
            settings.require_room_for(len(inputs.transitions))
            hand_over(inputs.pretrained, algorithm)
            offline = offline_share(inputs.transitions, settings)
            if len(offline):
                algorithm.load_transitions(offline.columns())
        self._follow(Training(algorithm))
        event("trial starts")

    def _follow(self, training: Training) -> None:
        self._training = training
        self._counters = TrainingCounters(training.algorithm, self._settings.perturbation.condition)

    @property
    def curve(self) -> list[dict[str, Any]]:
        """One row for each evaluation so far."""
        return self._training.curve

    def step(self) -> dict[str, Any]:
        """Train until the next evaluation is due, and evaluate; the first time, evaluate only."""
        settings, training = self._settings, self._training
        state = self._put_in_force()
        result: Mapping[str, Any] = {}
        speed = float("nan")
        if training.curve:
            before, started = training.algorithm.step_count, time.perf_counter()
            until = min(len(training.curve) * settings.finetune.evaluation_interval, settings.finetune.steps)
            result = training.advance(until, lambda _step: self._counters.read())
            speed = (training.algorithm.step_count - before) / (time.perf_counter() - started)
        scores = self._validation_scores()
        average = state.average if settings.curriculum.type == "adaptive" else None  # no other rule keeps one
        row = {"env_steps": training.algorithm.step_count, **scores, "q": state.q, "average": average}
        training.record(row, scores["mean"])
        best = training.best
        assert best is not None
        event("evaluated", **row, steps_per_second=round(speed, 1))
        episode_return = result.get(ENV_RUNNER_RESULTS, {}).get(EPISODE_RETURN_MEAN)
        return {
            "env_steps": row["env_steps"],
            "score": scores,
            "score_mean": scores["mean"],
            "best_score": best.score,
            "best_env_steps": best.step,
            "q": state.q,
            "smoothed_score": average,
            "curriculum": asdict(state),
            "curriculum_score": self._curriculum_score(scores, state.q) / 100.0,
            "total_evaluations": total_evaluations(settings.finetune),
            "steps_per_second": speed,
            "lost_env_runners": training.algorithm.lost_env_runners,
            "learner": learner_metrics(result),
            **({} if episode_return is None else {"episode_return_mean": float(episode_return)}),
            "done": row["env_steps"] >= settings.finetune.steps,
        }

    def _put_in_force(self) -> CurriculumState:
        """The curriculum's state for the next interval: one step behind the last evaluation.

        The scheduler has taken that step and told the bank's actor. Where it could not, or the actor is ahead of a
        checkpoint that was gone back to, the actor is told here.
        """
        state, curve = initial_state(self._settings.curriculum), self._training.curve
        if curve:
            row = curve[-1]
            last = CurriculumState(row["q"], row["average"] or 0.0, len(curve) - 1)
            score = self._curriculum_score(row, last.q) / 100.0
            state = next_state(self._settings.curriculum, last, score, total_evaluations(self._settings.finetune))
        if self._source.known() != state:
            self._source.tell(state)
        self._training.algorithm.env_runner_group.foreach_env_runner(
            lambda runner: runner.config.perturbation_source.take_over(state)
        )
        return state

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

    def _curriculum_score(self, scores: Mapping[str, float], q: float) -> float:
        wanted = getattr(self._settings.curriculum, "score", "mixture")
        if wanted == "mixture":
            return mixture_score(scores, self._settings.perturbation.condition, q)
        return scores[wanted]

    def save_policy(self, file: Path, kind: PolicyKind, origin: Mapping[str, Any]) -> None:
        """Write the policy as it is, or the one with the best validation score so far."""
        best = self._training.best
        assert best is not None
        if kind == "best":
            save_policy_file(best.policy, file, {**origin, "score": best.score, "step": best.step})
        else:
            save_policy_file(self._training.algorithm.evaluation_policy(), file, dict(origin))

    def save(self, directory: Path) -> None:
        """Everything: networks, optimizers, replay, generators, learning curve, best policy, and the latest one."""
        self._training.save(directory)
        self.save_policy(directory / LATEST_POLICY, "final", {})

    def load(self, directory: Path) -> None:
        """Go on from a checkpoint.

        Raises:
            FileNotFoundError: there is none.
        """
        training = Training.load(self._training.algorithm, directory)
        if training is None:
            raise FileNotFoundError(f"no checkpoint in {directory}")
        self._follow(training)
        event("restored", env_steps=training.algorithm.step_count)

    def stop(self) -> None:
        """End the algorithm's processes."""
        self._training.algorithm.stop()


def offline_share(transitions: Transitions, settings: ExperimentSettings) -> Transitions:
    """The uniformly drawn part of the offline data that the replay starts with."""
    count = round(settings.finetune.offline_ratio * len(transitions))
    if count == len(transitions):
        return transitions
    generator = np.random.default_rng(derive_seed(settings.seed, "finetune", "offline_share"))
    return transitions.subset(np.sort(generator.choice(len(transitions), size=count, replace=False)))
