"""What a Tune trial's config says."""

from collections.abc import Mapping
from typing import Any

from afrl_ray.config.experiment import ExperimentSettings
from afrl_ray.config.loading import with_settings


def trial_experiment(config: Mapping[str, Any]) -> dict[str, Any]:
    """The whole experiment of one trial: `config["experiment"]`, or `config["base"]` with `config["varied"]` in it.

    A section that is searched as a whole, or a `type`, brings the defaults that belong to it.

    The second form is a search's. It is worked out wherever it is needed, not by `tune.sample_from`: what that returns
    is lost for trials that had not begun when a sweep was killed and restored (seen with Ray 2.60).

    Raises:
        KeyError: the config has neither form.
        ConfigError: the values do not fit.
    """
    if "experiment" in config:
        return dict(config["experiment"])
    base = ExperimentSettings.model_validate(config["base"])
    return with_settings(base, config["varied"]).model_dump(mode="json")
