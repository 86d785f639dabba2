"""`afrl config …`. Handlers import what they need when they are called, to keep `afrl --help` quick."""

import argparse
import json
from pathlib import Path


def show(arguments: argparse.Namespace) -> None:
    """Print the resolved settings as YAML."""
    import yaml

    from afrl_ray.config import differences, load_experiment

    settings = load_experiment(*config_and_overrides(arguments))
    content = differences(settings) if arguments.differences else settings.model_dump(mode="json")
    print(yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120), end="")


def validate(arguments: argparse.Namespace) -> None:
    """Print one line for each file that is right, and fail for those that are not."""
    from afrl_ray.config import ConfigError, load_experiment

    overrides = [text for text in arguments.configs if "=" in text] + arguments.overrides
    if len(overrides) == len(arguments.configs) + len(arguments.overrides):
        raise ConfigError(f"{' '.join(overrides)}: name a YAML file to check with it")
    mistakes = []
    for config in (text for text in arguments.configs if "=" not in text):
        try:
            load_experiment(Path(config), overrides)
        except ConfigError as error:
            mistakes.append(str(error))
        else:
            print(f"{config}: OK")
    if mistakes:
        raise ConfigError("\n".join(mistakes))


def schema(_arguments: argparse.Namespace) -> None:
    """Print the JSON schema of an experiment's settings."""
    from afrl_ray.config import ExperimentSettings

    print(json.dumps(ExperimentSettings.model_json_schema(), indent=2, ensure_ascii=False))


def config_and_overrides(arguments: argparse.Namespace) -> tuple[Path | None, list[str]]:
    """The optional file and the overrides, the first of which argparse may have taken for the file."""
    if arguments.config is not None and "=" in str(arguments.config):
        return None, [str(arguments.config), *arguments.overrides]
    return arguments.config, arguments.overrides
