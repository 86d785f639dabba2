"""Offline TD3+BC: updates per second on random data of Hopper's sizes.

Ours is the RLlib Algorithm as pretraining runs it, by `Algorithm.train()`, in float32 ("ours") and in mixed precision
("ours mixed"). The peers are d3rlpy's `fit` and a bare torch loop of the same updates, in float32 and under bfloat16
autocast. All have networks of 256 x 256, batches of 256 and as many threads, in one process; ours and d3rlpy
standardise observations.
"""

import argparse
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

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
    start_ray,
    training_parser,
)

OBSERVATION_SIZE, ACTION_SIZE = 11, 3
ROWS = 100_000
EPISODE_LENGTH = 1000
WARM_UP = 500
D3RLPY_EPOCH = 1000
"""d3rlpy averages the losses of an epoch so far every ten updates: its own 10,000 would slow it down."""


def random_columns() -> dict[str, NDArray[Any]]:
    generator = np.random.default_rng(0)
    return {
        "observations": generator.standard_normal((ROWS, OBSERVATION_SIZE), dtype=np.float32),
        "actions": generator.uniform(-1, 1, (ROWS, ACTION_SIZE)).astype(np.float32),
        "rewards": generator.standard_normal(ROWS, dtype=np.float32),
        "next_observations": generator.standard_normal((ROWS, OBSERVATION_SIZE), dtype=np.float32),
        "terminations": np.zeros(ROWS, dtype=np.bool_),
    }


def ours(
    mixed_precision: Literal["on", "off"],
    threads: int,
    gpus: float = 0.0,
    hidden_sizes: tuple[int, ...] = HIDDEN_SIZES,
    batch_size: int = BATCH_SIZE,
) -> Advance:
    from afrl_ray.algorithms import TD3BCConfig
    from afrl_ray.config import EnvironmentSettings, TD3BCSettings
    from afrl_ray.datasets import observation_statistics

    updates = 500 if gpus or batch_size == BATCH_SIZE else 5  # pretraining's; large ones are too slow on a core
    settings = TD3BCSettings(hidden_sizes=hidden_sizes, batch_size=batch_size, mixed_precision=mixed_precision)
    algorithm = (
        TD3BCConfig()
        .simulation(EnvironmentSettings(id="Hopper-v4"))
        .training(settings=settings, replay_capacity=ROWS, updates_per_round=updates, torch_threads=threads)
        .learners(num_gpus_per_learner=gpus)
        .reporting(min_time_s_per_iteration=0)
        .debugging(seed=0, log_level="ERROR")
        .build_algo()
    )
    columns = random_columns()
    algorithm.set_observation_statistics(*observation_statistics(columns["observations"]))
    algorithm.load_transitions(columns)
    return advancing(algorithm)


def bare_torch(mixed_precision: bool = False) -> Advance:
    return BareTwinDelayed(
        OBSERVATION_SIZE,
        ACTION_SIZE,
        behaviour_cloning=True,
        hidden_sizes=HIDDEN_SIZES,
        batch_size=BATCH_SIZE,
        num_rows=ROWS,
        mixed_precision=mixed_precision,
    ).advance


def d3rlpy_td3_bc() -> Advance:
    d3rlpy = quiet_d3rlpy()
    encoder = d3rlpy.models.VectorEncoderFactory(list(HIDDEN_SIZES))
    columns = random_columns()
    ends = np.arange(1, ROWS + 1) % EPISODE_LENGTH == 0
    dataset = d3rlpy.dataset.MDPDataset(
        columns["observations"],
        columns["actions"],
        columns["rewards"],
        terminals=columns["terminations"].astype(np.float32),
        timeouts=ends.astype(np.float32),
        action_space=d3rlpy.ActionSpace.CONTINUOUS,
    )
    algorithm = d3rlpy.algos.TD3PlusBCConfig(
        batch_size=BATCH_SIZE,
        actor_encoder_factory=encoder,
        critic_encoder_factory=encoder,
        observation_scaler=d3rlpy.preprocessing.StandardObservationScaler(),
    ).create(device=False)

    def advance(updates: int) -> int:
        epoch = min(updates, D3RLPY_EPOCH)
        updates -= updates % epoch
        algorithm.fit(
            dataset,
            n_steps=updates,
            n_steps_per_epoch=epoch,
            logger_adapter=d3rlpy.logging.NoopAdapterFactory(),
            show_progress=False,
        )
        return updates

    return advance


def main(arguments: argparse.Namespace) -> None:
    start_ray()
    trainings: dict[str, Advance] = {"ours": ours("off", arguments.threads)}
    if mixed_precision_pays():
        trainings["ours mixed"] = ours("on", arguments.threads)
    if is_installed("d3rlpy"):
        trainings["d3rlpy"] = d3rlpy_td3_bc()
    trainings["bare torch"] = bare_torch()
    if mixed_precision_pays():
        trainings["bare torch mixed"] = bare_torch(mixed_precision=True)
    contestants = {name: paced(advance, warm_up=WARM_UP, arguments=arguments) for name, advance in trainings.items()}
    rates = measure(contestants, arguments.repeats)
    threads = dict.fromkeys(contestants, arguments.threads)
    report("offline_td3_bc", rates, arguments, unit="updates/s", threads=threads, extra_ratios=mixed_ratios(rates))


if __name__ == "__main__":
    main(training_parser(__doc__, repeats=5, seconds=15).parse_args())
