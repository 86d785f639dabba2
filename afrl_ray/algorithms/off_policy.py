"""The Algorithm and its Config that every off-policy algorithm here is an instance of."""

import math
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from ray.rllib.algorithms.algorithm import Algorithm
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig, NotProvided
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.utils.metrics import (
    ALL_MODULES,
    ENV_RUNNER_RESULTS,
    ENV_RUNNER_SAMPLING_TIMER,
    LEARNER_RESULTS,
    LEARNER_UPDATE_TIMER,
    NUM_ENV_STEPS_SAMPLED_LIFETIME,
    SYNCH_WORKER_WEIGHTS_TIMER,
    TIMERS,
)

from afrl_ray.algorithms.env_runner import PerturbedEnvRunner
from afrl_ray.algorithms.learner import NUM_UPDATES_LIFETIME, OffPolicyLearner
from afrl_ray.algorithms.replay import Fragment
from afrl_ray.algorithms.rl_module import ActorCriticModule
from afrl_ray.config import EnvironmentSettings, OffPolicySettings
from afrl_ray.envs import resolve_environment
from afrl_ray.networks import Policy
from afrl_ray.perturbations import PerturbationSource

_MOST_EMPTY_ROUNDS = 30


class OffPolicyConfig(AlgorithmConfig):  # type: ignore[misc]
    """RLlib configuration whose hyperparameters are one settings object of `afrl_ray.config`."""

    settings_class: ClassVar[type[OffPolicySettings]]
    rule_class: ClassVar[type]
    learns_offline: ClassVar[bool] = False
    has_state_value: ClassVar[bool] = False

    def __init__(self, algo_class: type | None = None) -> None:
        super().__init__(algo_class=algo_class)
        self.settings = self.settings_class()
        self.environment_settings = EnvironmentSettings()
        self.perturbation_source: PerturbationSource | None = None
        self.acting_critics = False
        self.replay_capacity = 1_000_000
        self.replay_log: str | None = None
        self.random_steps = 0
        self.updates_per_round = 64
        self.torch_threads = 1
        # RLlib's own keys
        self.env = resolve_environment(self.environment_settings.id)
        self.env_runner_cls = PerturbedEnvRunner
        self.num_env_runners = 0
        self.num_envs_per_env_runner = 1
        self.rollout_fragment_length = 64
        self.delay_between_env_runner_restarts_s = 1.0
        self.restart_failed_env_runners = True
        self.merge_env_runner_states = False
        self.broadcast_env_runner_states = False
        self._dont_auto_sync_env_runner_states = True
        self.metrics_num_episodes_for_smoothing = 20

    def training(
        self,
        *,
        settings: OffPolicySettings = NotProvided,
        perturbation_source: PerturbationSource | None = NotProvided,
        acting_critics: bool = NotProvided,
        replay_capacity: int = NotProvided,
        replay_log: str | None = NotProvided,
        random_steps: int = NotProvided,
        updates_per_round: int = NotProvided,
        torch_threads: int = NotProvided,
        **rllib_keys: Any,
    ) -> "OffPolicyConfig":
        """Set what the training does.

        Args:
            settings: hyperparameters.
            perturbation_source: asked once per sample call for the faults to apply; None applies none.
            acting_critics: whether env runners get the critics with the policy, for faults that descend on them.
            replay_capacity: transitions that the replay holds.
            replay_log: folder or URI where each row is written once, by the first checkpoint after it; None writes all
                rows into every checkpoint.
            random_steps: environment steps with uniformly random actions, without updates, before training begins.
            updates_per_round: updates per training step of an offline algorithm; online it is one per sampled step.
            torch_threads: threads of every process that computes.
            rllib_keys: passed to `AlgorithmConfig.training`.
        """
        super().training(**rllib_keys)
        given = {
            "settings": settings,
            "perturbation_source": perturbation_source,
            "acting_critics": acting_critics,
            "replay_capacity": replay_capacity,
            "replay_log": replay_log,
            "random_steps": random_steps,
            "updates_per_round": updates_per_round,
            "torch_threads": torch_threads,
        }
        for name, value in given.items():
            if value is not NotProvided:
                setattr(self, name, value)
        return self

    def simulation(self, environment_settings: EnvironmentSettings) -> "OffPolicyConfig":
        """Which environment to step (RLlib's own `environment` only needs to know its name)."""
        self.environment_settings = environment_settings
        return self.environment(env=resolve_environment(environment_settings.id))  # type: ignore[no-any-return]

    def get_default_learner_class(self) -> type[OffPolicyLearner]:
        return OffPolicyLearner

    def get_default_rl_module_spec(self) -> RLModuleSpec:
        return RLModuleSpec(
            module_class=ActorCriticModule,
            model_config={
                "hidden_sizes": self.settings.hidden_sizes,
                "num_critics": 2,
                "critic_layer_norm": self.settings.critic_layer_norm,
                "policy_average": getattr(self.settings, "policy_average_decay", 0.0) > 0,
                "acting_critics": self.acting_critics,
                "policy_kind": self.settings.policy_kind,
                "state_value": self.has_state_value,
                "initial_temperature": getattr(self.settings, "initial_temperature", None),
            },
        )

    def validate(self) -> None:
        super().validate()
        if self.num_learners > 1:
            raise ValueError("num_learners must be 0 (in the algorithm's process) or 1: the replay is not sharded")


class OffPolicyAlgorithm(Algorithm):  # type: ignore[misc]
    """Sample, add to the replay, one update per sampled step, send the weights out; offline: only the updates."""

    config: OffPolicyConfig
    end_of_round: int | None = None
    """Offline: the number of updates that a `train()` does not go beyond."""

    def setup(self, config: Any) -> None:
        self._empty_rounds = 0
        super().setup(config)

    def training_step(self) -> None:
        if self.config.learns_offline:
            left = math.inf if self.end_of_round is None else max(self.end_of_round - self.step_count, 1)
            self._update([], min(self.config.updates_per_round, left))
            return
        in_random_phase = self.env_steps < self.config.random_steps
        with self.metrics.log_time((TIMERS, ENV_RUNNER_SAMPLING_TIMER)):
            fragments = self._sample(in_random_phase)
        sampled = sum(fragment.env_steps() for fragment in fragments)
        self._update([fragment.rows for fragment in fragments], 0 if in_random_phase else sampled)
        with self.metrics.log_time((TIMERS, SYNCH_WORKER_WEIGHTS_TIMER)):
            self.env_runner_group.sync_weights(from_worker_or_learner_group=self.learner_group, inference_only=True)

    def restore_from_path(self, path: Any, *args: Any, **kwargs: Any) -> None:
        super().restore_from_path(path, *args, **kwargs)
        self._begin_anew(self.env_runner_group.healthy_env_runner_ids())

    def restore_env_runners(self, env_runner_group: Any) -> list[int]:
        restored: list[int] = super().restore_env_runners(env_runner_group)
        self._begin_anew(restored)
        return restored

    def _begin_anew(self, worker_ids: list[int]) -> None:
        """Give remote env runners seeds that no earlier episode had; RLlib gives them back their first ones."""
        if worker_ids:
            state = {NUM_ENV_STEPS_SAMPLED_LIFETIME: self.env_steps}
            self.env_runner_group.foreach_env_runner(
                lambda runner: runner.set_state(state), local_env_runner=False, remote_worker_ids=worker_ids
            )

    @property
    def env_steps(self) -> int:
        """Environment steps taken over the algorithm's whole life."""
        return int(self.metrics.peek((ENV_RUNNER_RESULTS, NUM_ENV_STEPS_SAMPLED_LIFETIME), default=0))

    @property
    def lost_env_runners(self) -> int:
        """How often a remote env runner was lost, since this algorithm was built."""
        group = self.env_runner_group
        if group is None:
            return 0
        missing = group.num_remote_env_runners() - group.num_healthy_remote_env_runners()
        return int(group.num_remote_worker_restarts() + missing)

    @property
    def step_count(self) -> int:
        """What the training is counted in: environment steps, or updates where there is no environment."""
        if not self.config.learns_offline:
            return self.env_steps
        return int(self.metrics.peek((LEARNER_RESULTS, ALL_MODULES, NUM_UPDATES_LIFETIME), default=0))

    def load_transitions(self, columns: dict[str, NDArray[Any]]) -> int:
        """Append transitions to the replay; returns the replay's size.

        `columns`: observations (N, O), actions (N, A) as intended, rewards (N,), next_observations (N, O),
        terminations (N,).
        """
        [size] = self._on_learner(lambda learner: learner.add_rows(learner.layout.pack(columns)))
        return int(size)

    def set_observation_statistics(self, mean: NDArray[np.float32], std: NDArray[np.float32]) -> None:
        """Standardise observations with these, each (O,); they travel in every checkpoint from now on."""
        self._on_learner(lambda learner: learner.set_observation_statistics(mean, std))
        self._send_weights()

    def load_module_tensors(self, tensors: dict[str, torch.Tensor]) -> None:
        """Start from another algorithm's networks; keys and shapes must be exactly this module's own."""
        self._on_learner(lambda learner: learner.load_module_tensors(tensors))
        self._send_weights()

    def module_tensors(self) -> dict[str, torch.Tensor]:
        """All networks and the normaliser, by name."""
        [tensors] = self._on_learner(lambda learner: learner.module_tensors())
        return tensors  # type: ignore[no-any-return]

    def evaluation_policy(self) -> Policy:
        """A copy of the policy to measure and to ship."""
        [policy] = self._on_learner(lambda learner: learner.evaluation_policy())
        return policy  # type: ignore[no-any-return]

    def _sample(self, random_actions: bool) -> list[Fragment]:
        if self.env_runner_group.num_remote_env_runners() == 0:
            results = [(self.env_runner.sample(random_actions=random_actions), self.env_runner.get_metrics())]
        else:
            results = self._sample_remotely(random_actions)
        self.metrics.aggregate([metrics for _, metrics in results], key=ENV_RUNNER_RESULTS)
        self._empty_rounds = 0 if results else self._empty_rounds + 1
        if self._empty_rounds > _MOST_EMPTY_ROUNDS:
            raise RuntimeError(f"no env runner has answered in {self._empty_rounds} rounds; see their logs for why")
        return [fragment for fragments, _ in results for fragment in fragments]

    def _sample_remotely(self, random_actions: bool) -> list[tuple[list[Fragment], Any]]:
        """Fragments and metrics of one round, whose steps are the same whoever is lost: one that has answered samples
        what the others did not, so that evaluations come at the steps they are due at."""
        group, config = self.env_runner_group, self.config
        missing = group.num_remote_env_runners() * config.rollout_fragment_length * config.num_envs_per_env_runner
        results: list[tuple[list[Fragment], Any]] = []
        asked, share = None, None  # all of them, each for a fragment
        while missing > 0:
            answers = group.foreach_env_runner(
                lambda runner, share=share: (
                    runner.worker_index,
                    runner.sample(num_timesteps=share, random_actions=random_actions),
                    runner.get_metrics(),
                ),
                local_env_runner=False,
                remote_worker_ids=asked,
                timeout_seconds=config.sample_timeout_s,
            )
            if not answers:
                break
            results += [(fragments, metrics) for _, fragments, metrics in answers]
            missing -= sum(fragment.env_steps() for _, fragments, _ in answers for fragment in fragments)
            asked, share = [answers[0][0]], missing
        return results

    def _update(self, fragments: list[NDArray[np.float32]], num_updates: int) -> None:
        with self.metrics.log_time((TIMERS, LEARNER_UPDATE_TIMER)):
            results = self._on_learner(lambda learner: learner.update_from_replay(fragments, num_updates))
        self.metrics.aggregate(results, key=LEARNER_RESULTS)

    def _on_learner(self, call: Any) -> list[Any]:
        """`call(learner)` where the learner lives; RLlib hands remote exceptions back as results."""
        if self.learner_group.is_local:
            return [call(self.learner_group._learner)]
        answers = []
        for result in self.learner_group.foreach_learner(call):
            if not result.ok:
                raise result.get()
            answers.append(result.get())
        return answers

    def _send_weights(self) -> None:
        if not self.config.learns_offline:
            self.env_runner_group.sync_weights(from_worker_or_learner_group=self.learner_group, inference_only=True)
