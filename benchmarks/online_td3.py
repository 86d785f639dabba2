"""Online TD3 on Hopper-v4: environment steps per second, one update each, after the random phase.

Ours is the RLlib Algorithm in the loop that fine-tuning runs, by `Algorithm.train()`: environment, replay, updates,
metrics and weights to the env runner included, in float32 ("ours") and in mixed precision ("ours mixed"). The peers
are the online trainings of Stable-Baselines3, of SBX (the same in JAX) and of d3rlpy, a bare torch loop of the updates
alone, in float32 and under bfloat16 autocast, and on request RLlib's own SAC. All have networks of 256 x 256, batches
of 256, one environment and as many threads, in one process.
"""

import argparse
import warnings
from typing import Any, Literal

import numpy as np

from bare_torch import BareTwinDelayed
from side_by_side import measure, report
from training import (
    BATCH_SIZE,
    HIDDEN_SIZES,
    Advance,
    advancing,
    is_installed,
    mixed_precision_pays,
    mixed_ratios,
    paced,
    quiet_d3rlpy,
    quiet_imports,
    start_ray,
    training_parser,
)

ENVIRONMENT = "Hopper-v4"
OBSERVATION_SIZE, ACTION_SIZE = 11, 3
RANDOM_STEPS = 500
WARM_UP = 1000
"""Steps before anything is measured: the random phase, and as many with updates."""
REPLAY_CAPACITY = 1_000_000


def ours(mixed_precision: Literal["on", "off"], threads: int) -> Advance:
    from afrl_ray.algorithms import TD3Config
    from afrl_ray.config import EnvironmentSettings, TD3Settings

    settings = TD3Settings(hidden_sizes=HIDDEN_SIZES, batch_size=BATCH_SIZE, mixed_precision=mixed_precision)
    algorithm = (
        TD3Config()
        .simulation(EnvironmentSettings(id=ENVIRONMENT))
        .training(settings=settings, random_steps=RANDOM_STEPS, replay_capacity=REPLAY_CAPACITY, torch_threads=threads)
        .env_runners(num_envs_per_env_runner=1, rollout_fragment_length=100)
        .reporting(min_sample_timesteps_per_iteration=1000, min_time_s_per_iteration=0)
        .debugging(seed=0, log_level="ERROR")
        .build_algo()
    )
    return advancing(algorithm)


def bare_torch(mixed_precision: bool = False) -> Advance:
    return BareTwinDelayed(
        OBSERVATION_SIZE,
        ACTION_SIZE,
        behaviour_cloning=False,
        hidden_sizes=HIDDEN_SIZES,
        batch_size=BATCH_SIZE,
        mixed_precision=mixed_precision,
    ).advance


def stable_baselines3() -> Advance:
    with quiet_imports():
        from stable_baselines3 import TD3
    return _trained_by_learn(TD3, device="cpu", policy_kwargs={"net_arch": list(HIDDEN_SIZES)})


def sbx() -> Advance:
    """Stable-Baselines3 in JAX."""
    with quiet_imports():
        from sbx import TD3
    return _trained_by_learn(TD3, policy_kwargs={"net_arch": list(HIDDEN_SIZES)})


def _trained_by_learn(algorithm: Any, **options: Any) -> Advance:
    with quiet_imports():
        from stable_baselines3.common.noise import NormalActionNoise

    model = algorithm(
        "MlpPolicy",
        _gymnasium_environment(),
        learning_rate=3e-4,
        batch_size=BATCH_SIZE,
        buffer_size=REPLAY_CAPACITY,
        learning_starts=RANDOM_STEPS,
        train_freq=1,
        gradient_steps=1,
        policy_delay=2,
        action_noise=NormalActionNoise(np.zeros(ACTION_SIZE), np.full(ACTION_SIZE, 0.1)),
        seed=0,
        **options,
    )

    def advance(steps: int) -> int:
        before = model.num_timesteps
        model.learn(steps, reset_num_timesteps=False, log_interval=None)
        return int(model.num_timesteps - before)

    return advance


def d3rlpy_td3() -> Advance:
    d3rlpy = quiet_d3rlpy()
    encoder = d3rlpy.models.VectorEncoderFactory(list(HIDDEN_SIZES))
    algorithm = d3rlpy.algos.TD3Config(
        batch_size=BATCH_SIZE, actor_encoder_factory=encoder, critic_encoder_factory=encoder
    ).create(device=False)
    environment = _gymnasium_environment()
    buffer = d3rlpy.dataset.create_fifo_replay_buffer(REPLAY_CAPACITY, env=environment)
    explorer = d3rlpy.algos.NormalNoise(std=0.1)
    done = 0

    def advance(steps: int) -> int:
        nonlocal done
        random_steps = max(RANDOM_STEPS - done, 0)
        algorithm.fit_online(
            environment,
            buffer,
            explorer,
            n_steps=steps,
            random_steps=random_steps,
            update_start_step=random_steps,
            logger_adapter=d3rlpy.logging.NoopAdapterFactory(),
            show_progress=False,
        )
        done += steps
        return steps

    return advance


def stock_sac() -> Advance:
    from ray.rllib.algorithms.sac import SACConfig
    from ray.rllib.core.rl_module.default_model_config import DefaultModelConfig
    from ray.rllib.utils.metrics import ENV_RUNNER_RESULTS, NUM_ENV_STEPS_SAMPLED_LIFETIME

    algorithm = (
        SACConfig()
        .environment(ENVIRONMENT)
        .env_runners(num_env_runners=0, rollout_fragment_length=1)
        .training(train_batch_size_per_learner=BATCH_SIZE, num_steps_sampled_before_learning_starts=RANDOM_STEPS)
        .rl_module(model_config=DefaultModelConfig(fcnet_hiddens=list(HIDDEN_SIZES)))
        .reporting(min_sample_timesteps_per_iteration=10, min_time_s_per_iteration=0)
        .debugging(seed=0, log_level="ERROR")
        .build_algo()
    )
    done = 0

    def advance(steps: int) -> int:
        nonlocal done
        before = done
        while done < before + steps:
            done = int(algorithm.train()[ENV_RUNNER_RESULTS][NUM_ENV_STEPS_SAMPLED_LIFETIME])
        return done - before

    return advance


def _gymnasium_environment() -> Any:
    import gymnasium

    return gymnasium.make(ENVIRONMENT)


def main(arguments: argparse.Namespace) -> None:
    warnings.filterwarnings("ignore", category=DeprecationWarning)  # gymnasium's, on v4 robots
    start_ray()
    trainings: dict[str, Advance] = {"ours": ours("off", arguments.threads)}
    if mixed_precision_pays():
        trainings["ours mixed"] = ours("on", arguments.threads)
    if is_installed("stable_baselines3"):
        trainings["sb3"] = stable_baselines3()
    if is_installed("sbx"):
        trainings["sbx"] = sbx()
    if is_installed("d3rlpy"):
        trainings["d3rlpy"] = d3rlpy_td3()
    trainings["bare torch"] = bare_torch()
    if mixed_precision_pays():
        trainings["bare torch mixed"] = bare_torch(mixed_precision=True)
    contestants = {name: paced(advance, warm_up=WARM_UP, arguments=arguments) for name, advance in trainings.items()}
    if arguments.stock:
        contestants["rllib sac"] = paced(stock_sac(), warm_up=RANDOM_STEPS + 10, arguments=arguments)
    rates = measure(contestants, arguments.repeats)
    threads = dict.fromkeys(contestants, arguments.threads)
    report(
        "online_td3", rates, arguments, unit="environment steps/s", threads=threads, extra_ratios=mixed_ratios(rates)
    )


if __name__ == "__main__":
    parser = training_parser(__doc__, repeats=5, seconds=15)
    parser.add_argument("--stock", action="store_true", help="measure RLlib's own SAC too, which is slow")
    main(parser.parse_args())
