"""What a Tune trial's config says."""

from collections.abc import Mapping
from typing import Any

from afrl_ray.config.experiment import ExperimentSettings
from afrl_ray.config.loading import with_settings


def trial_experiment(config: Mapping[str, Any]) -> dict[str, Any]:
    """The whole experiment of one trial: `config["run"]["base"]`, with the dotted settings of `config["drawn"]` in it.

    A section that is searched as a whole, or a `type`, brings the defaults that belong to it.

    Raises:
        KeyError: the config is no trial's.
        ConfigError: the values do not fit.
    """
    if not config["drawn"]:
        return dict(config["run"]["base"])
    base = ExperimentSettings.model_validate(config["run"]["base"])
    return with_settings(base, config["drawn"]).model_dump(mode="json")
