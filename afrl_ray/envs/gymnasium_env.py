"""Any Gymnasium environment behind our interface, one after the other in this process."""

import warnings
from collections.abc import Sequence

import gymnasium
import numpy as np

from afrl_ray.arrays import FloatArray
from afrl_ray.envs.vector import EnvIds, StepResult, float_box


class GymnasiumVectorEnv:
    """A plain list of Gymnasium environments."""

    def __init__(self, environment_id: str, seeds: Sequence[int], max_episode_steps: int, num_threads: int) -> None:
        del num_threads  # Python steps them in turn
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*is out of date.*", category=DeprecationWarning)
            try:
                self._envs = [gymnasium.make(environment_id, max_episode_steps=max_episode_steps) for _ in seeds]
            except gymnasium.error.Error as error:
                raise ValueError(f"unknown environment {environment_id!r}: {error}") from error
        self.num_envs = len(seeds)
        self.observation_space = float_box(self._envs[0].observation_space, "observation", environment_id)
        self.action_space = float_box(self._envs[0].action_space, "action", environment_id)
        self._action_dtype = self._envs[0].action_space.dtype
        self._unused_seeds: list[int | None] = list(seeds)
        self._all_ids = np.arange(self.num_envs, dtype=np.int32)

    def reset(self, env_ids: EnvIds | None = None) -> FloatArray:
        observations = []
        for index in self._all_ids if env_ids is None else env_ids:
            observation, _ = self._envs[index].reset(seed=self._unused_seeds[index])
            self._unused_seeds[index] = None  # later episodes continue this environment's own generator
            observations.append(observation)
        return np.asarray(observations, dtype=np.float32)

    def step(self, actions: FloatArray, env_ids: EnvIds | None = None) -> StepResult:
        ids = self._all_ids if env_ids is None else env_ids
        steps = [
            self._envs[index].step(action)
            for index, action in zip(ids, actions.astype(self._action_dtype), strict=True)
        ]
        terminations = np.array([step[2] for step in steps], dtype=np.bool_)
        return StepResult(
            np.asarray([step[0] for step in steps], dtype=np.float32),
            np.array([step[1] for step in steps], dtype=np.float32),
            terminations,
            np.array([step[3] for step in steps], dtype=np.bool_) & ~terminations,
        )

    def close(self) -> None:
        for env in self._envs:
            env.close()  # type: ignore[no-untyped-call]
