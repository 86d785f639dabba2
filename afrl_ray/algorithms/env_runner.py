"""An RLlib EnvRunner that steps a batch of environments, with faults between them and the policy."""

from typing import Any

import numpy as np
import ray
from ray.rllib.core import COMPONENT_RL_MODULE, DEFAULT_AGENT_ID, DEFAULT_MODULE_ID
from ray.rllib.env import INPUT_ENV_SINGLE_SPACES, INPUT_ENV_SPACES
from ray.rllib.env.env_runner import EnvRunner
from ray.rllib.utils.checkpoints import Checkpointable
from ray.rllib.utils.metrics import (
    EPISODE_LEN_MEAN,
    EPISODE_RETURN_MEAN,
    NUM_ENV_STEPS_SAMPLED,
    NUM_ENV_STEPS_SAMPLED_LIFETIME,
    NUM_EPISODES,
    NUM_EPISODES_LIFETIME,
    WEIGHTS_SEQ_NO,
)

from afrl_ray.algorithms.replay import Fragment, RowLayout
from afrl_ray.arrays import FloatArray
from afrl_ray.envs import VectorEnv, make_vector_env
from afrl_ray.networks import limit_threads
from afrl_ray.perturbations import NO_PERTURBATION, Body, RunningEpisodes
from afrl_ray.seeding import derive_seed
from afrl_ray.telemetry import configure_logs

_EPISODES = "episodes"

NUM_FAULT_DRAWS_LIFETIME = "num_fault_draws_lifetime"
"""Episodes that began with a fault."""


class PerturbedEnvRunner(EnvRunner, Checkpointable):  # type: ignore[misc]
    """Collects transitions (s, a, r, s', d) where a is the intended action, and r and s' follow from the executed one.

    s and s' are what the policy sees, noise of the sensors included. Each episode gets one θ when it begins, drawn from
    the latest snapshot of `config.perturbation_source`.

    Simulator states cannot be saved, so every checkpoint is a boundary: after one is written, the running episodes
    are left, and environments and generator begin anew with seeds derived from the steps taken so far. A run that
    samples in the algorithm's own process and was restored therefore takes exactly the steps that the uninterrupted
    run takes. A remote env runner begins anew when it was restarted or the algorithm restored.
    """

    def __init__(self, *, config: Any, **kwargs: Any) -> None:
        super().__init__(config=config, **kwargs)
        limit_threads(config.torch_threads)
        configure_logs()
        self._weights_seq_no = 0
        self._finished: list[tuple[float, int]] = []
        self._fault_draws = 0
        self._snapshot = NO_PERTURBATION
        self.env: VectorEnv | None = None
        self.make_env()
        self.make_module()

    # ---- what RLlib builds and asks -------------------------------------------------------------------------------

    def make_env(self) -> None:
        """Fresh environments and generator, seeded by the worker and by how many steps were taken."""
        if self.env is not None:
            self.env.close()
        seed = self.config.seed or 0
        origin = (self.worker_index, self.num_env_steps_sampled_lifetime)
        env_seeds = [
            derive_seed(seed, "environment", *origin, index) for index in range(self.config.num_envs_per_env_runner)
        ]
        self.env = make_vector_env(self.config.environment_settings, env_seeds)
        self._generator = np.random.default_rng(derive_seed(seed, "env_runner", *origin))
        self._fault_seeds = np.random.default_rng(derive_seed(seed, "faults", *origin))
        self._layout = RowLayout(self.env.observation_space.shape[0], self.env.action_space.shape[0])
        self._episodes: RunningEpisodes | None = None

    def make_module(self) -> None:
        spec = self.config.get_rl_module_spec(spaces=self.get_spaces(), inference_only=True)
        self.module = spec.build().eval()

    def get_spaces(self) -> dict[str, Any]:
        assert self.env is not None
        spaces = (self.env.observation_space, self.env.action_space)
        return {INPUT_ENV_SPACES: spaces, INPUT_ENV_SINGLE_SPACES: spaces, DEFAULT_MODULE_ID: spaces}

    def assert_healthy(self) -> None:
        assert self.env is not None
        assert self.module is not None

    def stop(self) -> None:
        if self.env is not None:
            self.env.close()
            self.env = None

    # ---- sampling -------------------------------------------------------------------------------------------------

    def sample(
        self,
        *,
        num_timesteps: int | None = None,
        explore: bool | None = None,
        random_actions: bool = False,
        **_: Any,
    ) -> list[Fragment]:
        """At least `num_timesteps` transitions (rollout_fragment_length per environment when not given)."""
        env = self.env
        assert env is not None
        if self.config.perturbation_source is not None:
            self._snapshot = self.config.perturbation_source.snapshot()
        if self._episodes is None:
            self._begin_all()
        wanted = num_timesteps or self.config.rollout_fragment_length * env.num_envs
        explore = self.config.explore if explore is None else explore
        rows = []
        for _step in range(-(-wanted // env.num_envs)):
            actions = self._intended_actions(explore, random_actions)
            rows.append(self._step(env, actions))
        fragment = Fragment(np.concatenate(rows))
        self._log(fragment.env_steps())
        return [fragment]

    def _begin_all(self) -> None:
        env, policy = self.env, self.module.policy
        assert env is not None
        body = Body(env.action_space.low, env.action_space.high, policy.observation_std)
        self._fault = self._snapshot.make_fault(body, self.module.critic_gradients())
        self._episodes = self._begin(env.reset())
        self._returns = np.zeros(env.num_envs)
        self._lengths = np.zeros(env.num_envs, dtype=np.int64)

    def _begin(self, observations: FloatArray) -> RunningEpisodes:
        """Episodes with these first observations (n, O), each under a θ of its own."""
        count = len(observations)
        parameters = self._snapshot.draw(count, self._fault, self._generator)
        self._fault_draws += int((parameters != self._fault.neutral).any(axis=1).sum())
        return RunningEpisodes(self._fault, parameters, self._fault_seeds.integers(2**31, size=count), observations)

    def _intended_actions(self, explore: bool, random_actions: bool) -> FloatArray:
        assert self.env is not None
        assert self._episodes is not None
        space, count = self.env.action_space, self.env.num_envs
        if random_actions:
            return self._generator.uniform(space.low, space.high, (count, *space.shape)).astype(np.float32)
        observations = self._episodes.observations
        if explore and self.module.policy.kind == "gaussian":
            noise = self._generator.standard_normal((count, *space.shape), dtype=np.float32)
            return self.module.policy.sample(observations, noise)  # type: ignore[no-any-return]
        actions = self.module.policy.act(observations)
        if explore:
            scale = self.config.settings.exploration_noise * (space.high - space.low) / 2
            noise = self._generator.standard_normal(actions.shape, dtype=np.float32) * scale
            actions = np.clip(actions + noise, space.low, space.high)
        return actions  # type: ignore[no-any-return]

    def _step(self, env: VectorEnv, actions: FloatArray) -> FloatArray:
        """Step all environments, begin new episodes where one ended; returns packed rows (num_envs, width)."""
        episodes = self._episodes
        assert episodes is not None
        observations = episodes.observations
        step = env.step(episodes.executed(actions))
        rows = self._layout.pack(
            {
                "observations": observations,
                "actions": actions,
                "rewards": step.rewards,
                "next_observations": episodes.observe(step.observations),
                "terminations": step.terminations,
            }
        )
        self._returns += step.rewards
        self._lengths += 1
        ended = np.flatnonzero(step.terminations | step.truncations).astype(np.int32)
        if len(ended):
            self._finished += zip(self._returns[ended].tolist(), self._lengths[ended].tolist(), strict=True)
            self._returns[ended], self._lengths[ended] = 0.0, 0
            episodes.replace(ended, self._begin(env.reset(ended)))
        return rows

    # ---- metrics --------------------------------------------------------------------------------------------------

    def _log(self, steps: int) -> None:
        self.num_env_steps_sampled_lifetime += steps
        log = self.metrics.log_value
        log(NUM_ENV_STEPS_SAMPLED, steps, reduce="sum")
        log(NUM_ENV_STEPS_SAMPLED_LIFETIME, steps, reduce="lifetime_sum")
        log(("num_module_steps_sampled", DEFAULT_MODULE_ID), steps, reduce="sum")
        log(("num_agent_steps_sampled", DEFAULT_AGENT_ID), steps, reduce="sum")
        log(NUM_EPISODES, len(self._finished), reduce="sum")
        log(NUM_EPISODES_LIFETIME, len(self._finished), reduce="lifetime_sum")
        log(NUM_FAULT_DRAWS_LIFETIME, self._fault_draws, reduce="lifetime_sum")
        self._fault_draws = 0
        log(WEIGHTS_SEQ_NO, self._weights_seq_no, window=1)

    def get_metrics(self) -> Any:
        window = self.config.metrics_num_episodes_for_smoothing
        for episode_return, length in self._finished:
            self.metrics.log_value(EPISODE_RETURN_MEAN, episode_return, window=window)
            self.metrics.log_value(EPISODE_LEN_MEAN, length, window=window)
        self._finished.clear()
        return self.metrics.reduce()

    # ---- state ----------------------------------------------------------------------------------------------------

    def get_state(self, components: Any = None, *, not_components: Any = None, **options: Any) -> dict[str, Any]:
        state: dict[str, Any] = {NUM_ENV_STEPS_SAMPLED_LIFETIME: self.num_env_steps_sampled_lifetime}
        if self._check_component(COMPONENT_RL_MODULE, components, not_components):
            state[COMPONENT_RL_MODULE] = self.module.get_state(
                components=self._get_subcomponents(COMPONENT_RL_MODULE, components), **options
            )
            state[WEIGHTS_SEQ_NO] = self._weights_seq_no
        if self._check_component(_EPISODES, components, not_components):
            self.make_env()  # the boundary described above
        return state

    def set_state(self, state: dict[str, Any]) -> None:
        if COMPONENT_RL_MODULE in state:
            weights = state[COMPONENT_RL_MODULE]
            if isinstance(weights, ray.ObjectRef):
                weights = ray.get(weights)
            # whatever their number: it falls when a running algorithm goes back to an earlier checkpoint
            self.module.set_state(weights.get(DEFAULT_MODULE_ID, weights))
            self._weights_seq_no = state.get(WEIGHTS_SEQ_NO, 0)
        if NUM_ENV_STEPS_SAMPLED_LIFETIME in state:
            self.num_env_steps_sampled_lifetime = state[NUM_ENV_STEPS_SAMPLED_LIFETIME]
            self.make_env()

    def get_ctor_args_and_kwargs(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return (), {"config": self.config}

    def get_checkpointable_components(self) -> list[tuple[str, Any]]:
        return [(COMPONENT_RL_MODULE, self.module)]
