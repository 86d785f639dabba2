"""The RLlib configuration of a fine-tuning."""

import math

from afrl_ray.algorithms import OffPolicyConfig, algorithm_config
from afrl_ray.attacks import BankSource
from afrl_ray.config import ExperimentSettings
from afrl_ray.scheduling import bundle, trial_bundles
from afrl_ray.seeding import derive_seed

STEPS_PER_ROUND = 100


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
