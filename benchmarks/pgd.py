"""Online TD3 under PGD at each step against the same training under the multiplicative fault: environment steps/s.

"ours" is PGD with 5 steps on the critic that is being trained, "per episode" a random δ for each episode; both with
q = 1 on Hopper-v4, as fine-tuning runs them. The wanted ratio is at least one half.
"""

import argparse

from side_by_side import measure, report
from training import BATCH_SIZE, HIDDEN_SIZES, Advance, advancing, paced, start_ray, training_parser

EPSILON = 0.3


def training(condition: str, pgd_steps: int) -> Advance:
    from afrl_ray.algorithms import TD3Config
    from afrl_ray.config import EnvironmentSettings, FaultSettings, PGDSettings, TD3Settings
    from afrl_ray.perturbations import ConstantSource, PerturbationSnapshot

    snapshot = PerturbationSnapshot(
        condition,  # type: ignore[arg-type]
        q=1.0,
        fault=FaultSettings(magnitude=EPSILON),
        bank=None,
        pgd=PGDSettings(steps=pgd_steps),
    )
    algorithm = (
        TD3Config()
        .simulation(EnvironmentSettings(id="Hopper-v4"))
        .training(
            settings=TD3Settings(hidden_sizes=HIDDEN_SIZES, batch_size=BATCH_SIZE),
            random_steps=500,
            perturbation_source=ConstantSource(snapshot),
            acting_critics=condition == "pgd",
        )
        .env_runners(num_envs_per_env_runner=1, rollout_fragment_length=100)
        .reporting(min_sample_timesteps_per_iteration=1000, min_time_s_per_iteration=0)
        .debugging(seed=0, log_level="ERROR")
        .build_algo()
    )
    return advancing(algorithm)


def main(arguments: argparse.Namespace) -> None:
    start_ray()
    trainings = {"ours": training("pgd", arguments.pgd_steps), "per episode": training("random", 1)}
    contestants = {name: paced(advance, warm_up=1000, arguments=arguments) for name, advance in trainings.items()}
    rates = measure(contestants, arguments.repeats)
    report("pgd", rates, arguments, unit="environment steps/s", threads=dict.fromkeys(contestants, arguments.threads))


if __name__ == "__main__":
    parser = training_parser(__doc__, repeats=5, seconds=15)
    parser.add_argument("--pgd-steps", type=int, default=5, help="steps of gradient descent per action (5)")
    main(parser.parse_args())
