"""How the bundled experts are made."""

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from afrl_ray.config.algorithm import OnlineAlgorithm, TD3Settings
from afrl_ray.config.base import Settings, require_steps_to_learn_in
from afrl_ray.config.environment import EnvironmentSettings


class ExpertSettings(Settings):
    """Online TD3 or SAC from scratch; the best policy by validation episodes becomes the expert."""

    environment: EnvironmentSettings = EnvironmentSettings()
    algorithm: OnlineAlgorithm = TD3Settings(batch_size=128)
    """TD3's own batch size was 100; 128 takes a little over half of the time of 256."""
    seed: NonNegativeInt = 0
    steps: PositiveInt = 1_000_000
    """Environment steps, one update each."""
    random_steps: NonNegativeInt = 25_000
    """First steps, with uniformly random actions and without updates."""
    num_envs: int = Field(4, ge=1, le=100)
    evaluation_interval: PositiveInt = 10_000
    """Steps between two evaluations, and between the checkpoints that an interrupted training goes on from."""
    evaluation_episodes: PositiveInt = 10
    final_episodes: PositiveInt = 100
    """Episodes, with seeds used nowhere else, that the recorded score is the mean of."""

    @model_validator(mode="after")
    def _steps_to_learn_in(self) -> "ExpertSettings":
        require_steps_to_learn_in(self.random_steps, self.steps)
        return self
