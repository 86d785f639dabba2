"""What each command does: settings in, one call to the pipeline, the result out.

Handlers import what they need when they are called: neither `afrl --help` nor a mistake in a file waits for Ray.
"""

import argparse
import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from afrl_ray.cli.config_commands import config_and_overrides
from afrl_ray.cli.outputs import bank_file, evaluation_folder

if TYPE_CHECKING:
    from afrl_ray.cli.submittable import Submittable
    from afrl_ray.config import ExperimentSettings
    from afrl_ray.pipeline.run import StageName

_CONFIG_SUFFIXES = (".yaml", ".yml")


def run(arguments: argparse.Namespace) -> None:
    _run_until(arguments, "evaluation")


def submit(arguments: argparse.Namespace) -> "Submittable":
    """The same experiment as a job."""
    from afrl_ray.cli.submittable import Submittable
    from afrl_ray.jobs.specification import experiment_job
    from afrl_ray.pipeline.reference_returns import check_reference_returns
    from afrl_ray.studies.files import scale_names, study_names

    _refuse(arguments, "robot", "seeds", "output", purpose="studies, with --scale")
    targets = [text for text in arguments.targets if "=" not in text]
    arguments.overrides = [text for text in arguments.targets if "=" in text] + arguments.overrides
    if len(targets) != 1:
        raise ValueError("afrl submit takes one YAML file of settings, or studies with --scale SCALE")
    if targets[0] in study_names() and not Path(targets[0]).exists():
        raise ValueError(f"{targets[0]} is a study: add --scale with {', '.join(scale_names())} or a file of your own")
    arguments.config = Path(targets[0])
    settings = _experiment(arguments)
    check_reference_returns(settings)
    return Submittable(settings.runtime.address, lambda: run(arguments), lambda: experiment_job(settings))


def pretrain(arguments: argparse.Namespace) -> None:
    _run_until(arguments, "pretrain")


def finetune(arguments: argparse.Namespace) -> None:
    _run_until(arguments, "finetune")


def attack(arguments: argparse.Namespace) -> None:
    """The attack stage of an experiment, or a search against one checkpoint."""
    if Path(arguments.target).suffix in _CONFIG_SUFFIXES:
        _refuse(arguments, "env", "epsilon", "seed", "searches", "output")
        arguments.config = Path(arguments.target)
        _run_until(arguments, "attack")
        return
    settings = _checkpoint_settings(arguments, {"attack.training_bank": arguments.searches})
    checkpoint = _existing(Path(arguments.target))
    output = bank_file(arguments.output) if arguments.output is not None else None
    from afrl_ray.pipeline.attack import attack_checkpoint

    with _all_over_again() if output is None else contextlib.nullcontext():
        found = attack_checkpoint(checkpoint, settings, output)
    _report(found, arguments.json)


def evaluate(arguments: argparse.Namespace) -> None:
    """The evaluation stage of an experiment, or checkpoints side by side."""
    targets = [text for text in arguments.targets if "=" not in text or Path(text).exists()]
    arguments.overrides = [text for text in arguments.targets if text not in targets] + arguments.overrides
    configs = [target for target in targets if Path(target).suffix in _CONFIG_SUFFIXES]
    if configs:
        if len(targets) > 1:
            raise ValueError("afrl evaluate takes one YAML file, or checkpoints, not both")
        _refuse(arguments, "env", "epsilon", "seed", "bank", "critic", "episodes", "output", "adaptive_attack")
        arguments.config = Path(configs[0])
        _run_until(arguments, "evaluation")
        return
    options = {
        "evaluation.episodes": arguments.episodes,
        "evaluation.adaptive_attack": str(bool(arguments.adaptive_attack)).lower(),
    }
    settings = _checkpoint_settings(arguments, options)
    checkpoints = [_existing(Path(target)) for target in targets]
    banks = [_existing(path) for path in arguments.bank or []]
    critic = _existing(arguments.critic) if arguments.critic is not None else None
    output = evaluation_folder(arguments.output or Path("evaluation"))
    from afrl_ray.pipeline.checkpoints import evaluate_checkpoints

    summary = evaluate_checkpoints(checkpoints, settings, banks, critic, output)
    from afrl_ray.evaluation.tables import markdown_table, plain_summary

    print(json.dumps(plain_summary(summary)) if arguments.json else markdown_table(summary).rstrip())


def sweep(arguments: argparse.Namespace) -> None:
    """An experiment that has a `search`."""
    from afrl_ray.config import ConfigError

    if _experiment(arguments).search is None:
        raise ConfigError(f"{arguments.config}: search.space must be given for a sweep; without one, use afrl run")
    _run_until(arguments, "evaluation")


def train_expert(arguments: argparse.Namespace) -> None:
    """Settings of the expert from options and overrides, an option being one more override."""
    from afrl_ray.config import ExpertSettings, load_settings

    options = {
        "environment.id": arguments.robot,
        "algorithm.type": arguments.algorithm,
        "steps": arguments.steps,
        "seed": arguments.seed,
    }
    settings = load_settings(ExpertSettings, None, [*_as_overrides(options), *arguments.overrides])
    from afrl_ray.pipeline.expert import train_expert as train

    directory = arguments.output or Path("runs") / f"expert-{arguments.robot}"
    record = train(settings, directory.expanduser().absolute())
    _report({name: record[name] for name in ("robot", "seed", "chosen_at_step", "score")}, arguments.json)


def data(arguments: argparse.Namespace) -> None:
    """The data set alone, without a pipeline around it."""
    with _all_over_again():
        _report(_made_data(arguments, _experiment(arguments)), arguments.json)


def _made_data(arguments: argparse.Namespace, settings: "ExperimentSettings") -> dict[str, Any]:
    from afrl_ray.datasets import load_transitions, save_minari
    from afrl_ray.pipeline.progress import progress

    with progress("data", settings.data.transitions or 0, "transitions") as report:
        transitions = load_transitions(
            settings.data, settings.environment, settings.seed, lambda done, _total: report.update(done)
        )
    returns = transitions.episode_returns()
    result: dict[str, Any] = {
        "transitions": len(transitions),
        "episodes": len(returns),
        "mean_return": float(returns.mean()) if len(returns) else None,
        "fingerprint": transitions.fingerprint(),
    }
    if arguments.npz is not None:
        transitions.save(arguments.npz)
        result["npz"] = str(arguments.npz)
    if arguments.minari is not None:
        result["minari"] = str(save_minari(transitions, arguments.minari, settings.environment))
    return result


def ui(arguments: argparse.Namespace) -> None:
    """MLflow's interface in the foreground, until it is interrupted."""
    from afrl_ray.config import load_experiment

    settings = load_experiment(*config_and_overrides(arguments))
    from afrl_ray.config.location import without_password
    from afrl_ray.tracking.location import default_uri, ui_command

    uri = default_uri(settings.tracking, settings.tracking_neighbour)
    command, environment = ui_command(uri, arguments.port, arguments.host)
    print(f"{without_password(uri)} at http://{arguments.host}:{arguments.port}", file=sys.stderr)
    with contextlib.suppress(KeyboardInterrupt):
        subprocess.run(command, env=environment, check=False)


@contextlib.contextmanager
def _all_over_again() -> Iterator[None]:
    """Work that keeps nothing to continue from: an interruption says so."""
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt("the same command begins anew") from None


def _run_until(arguments: argparse.Namespace, stage: "StageName") -> None:
    """Run an experiment up to `stage`; what is already done is kept."""
    settings = _experiment(arguments)
    from afrl_ray.pipeline.warm_up import warm_up

    warm_up(settings.runtime)
    from afrl_ray.pipeline.run import report, run_experiment

    finished = run_experiment(settings, until=stage)
    report(finished)
    if arguments.json:
        stages = {name: getattr(finished, name) for name in ("pretrain", "attack", "finetune", "evaluation")}
        directories = {name: stage.directory for name, stage in stages.items() if stage is not None}
        _report(finished.summary or directories, as_json=True)


def _experiment(arguments: argparse.Namespace) -> "ExperimentSettings":
    from afrl_ray.config import load_experiment

    return load_experiment(arguments.config, arguments.overrides)


def _checkpoint_settings(arguments: argparse.Namespace, options: Mapping[str, Any]) -> "ExperimentSettings":
    """Settings for work on a checkpoint, from the command's options and overrides."""
    from afrl_ray.config import load_experiment

    if arguments.env is None:
        raise ValueError("a checkpoint needs its environment: add --env ID, such as --env Hopper-v4")
    options = {
        "environment.id": arguments.env,
        "perturbation.epsilon": arguments.epsilon,
        "seed": arguments.seed,
        **options,
    }
    return load_experiment(None, [*_as_overrides(options), *arguments.overrides])


def _as_overrides(options: Mapping[str, Any]) -> list[str]:
    return [f"{name}={value}" for name, value in options.items() if value is not None]


def _existing(path: Path) -> Path:
    if not path.exists():
        raise FileNotFoundError(f"there is nothing at {path}")
    return path


def _refuse(arguments: argparse.Namespace, *options: str, purpose: str = "checkpoints") -> None:
    """An experiment has its settings in its file; the options are for `purpose`."""
    given = [f"--{option.replace('_', '-')}" for option in options if getattr(arguments, option) is not None]
    if given:
        raise ValueError(f"{', '.join(given)} is for {purpose}; with a YAML file write NAME=VALUE, such as seed=1")


def _report(result: Mapping[str, Any], as_json: bool) -> None:
    """The result on standard output: JSON in one line, or one `name: value` line for each entry."""
    if as_json:
        print(json.dumps(result, default=str))
        return
    for name, value in result.items():
        print(f"{name}: {value if isinstance(value, str) else json.dumps(value, default=str)}")
