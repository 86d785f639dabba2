"""The command line of `afrl`."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from afrl_ray import __version__
from afrl_ray.cli import commands, config_commands, study_commands
from afrl_ray.cli.job_parser import add_job_commands, add_study_options

_Handler = Callable[[argparse.Namespace], None]

_TRACEBACK = "--traceback"
_OVERRIDES_HELP = "settings to change, by dotted name, with YAML values: finetune.steps=50000"


class _Parser(argparse.ArgumentParser):
    """Mistakes in the command line are one line too."""

    def error(self, message: str) -> NoReturn:
        print(f"error: {message}; see {self.prog} --help", file=sys.stderr)
        raise SystemExit(2)


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """The namespace of one command, with its `handler`; NAME=VALUE and --traceback may stand anywhere after it."""
    parser = build_parser()
    parsed, rest = parser.parse_known_args(arguments)
    if _TRACEBACK in rest:
        parsed.traceback = True
        rest = [text for text in rest if text != _TRACEBACK]
    unknown = [text for text in rest if text.startswith("-") or not hasattr(parsed, "overrides")]
    if unknown:
        parser.error(f"unknown argument {' '.join(unknown)}")
    if rest:
        parsed.overrides = [*parsed.overrides, *rest]
    return parsed


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    parser = _Parser(
        prog="afrl",
        description="Adversarial fine-tuning of offline reinforcement-learning policies, on Ray.",
        epilog="Every stage continues where it was interrupted, and keeps what is already done. "
        "afrl COMMAND --help shows examples.",
    )
    parser.add_argument("--version", action="version", version=f"afrl {__version__}")
    parser.add_argument(_TRACEBACK, action="store_true", help="show where an error comes from; also after the command")
    subcommands = parser.add_subparsers(metavar="COMMAND", required=True, parser_class=_Parser)

    def add(name: str, handler: _Handler, summary: str, *examples: str) -> argparse.ArgumentParser:
        return _add_command(subcommands, name, handler, summary, *examples)

    run = add(
        "run",
        commands.run,
        "run a whole experiment: data, pretraining, attacks, fine-tuning, evaluation",
        "afrl run tune_configs/hopper_demo.yaml",
        "afrl run tune_configs/hopper_demo.yaml seed=1 output=runs/hopper-1",
        "afrl run tune_configs/hopper_demo.yaml search=null curriculum.type=adaptive curriculum.beta=0.2 --json",
    )
    _add_config(run)
    _add_json(run)

    pretrain = add(
        "pretrain",
        commands.pretrain,
        "run an experiment up to its offline pretraining",
        "afrl pretrain tune_configs/hopper_demo.yaml",
        "afrl pretrain tune_configs/hopper_demo.yaml pretrain.updates=500000",
    )
    _add_config(pretrain)
    _add_json(pretrain)

    attack = add(
        "attack",
        commands.attack,
        "run an experiment up to its attack banks, or search attacks on one checkpoint",
        "afrl attack tune_configs/hopper_demo.yaml",
        "afrl attack policy.safetensors --env Hopper-v4 --epsilon 0.3 --searches 5 --output bank.npz --json",
        "afrl attack policy.safetensors --env hopper attack.generations=20",
    )
    attack.add_argument("target", metavar="CONFIG_OR_CHECKPOINT", help="a YAML file, or a policy or checkpoint of ours")
    _add_checkpoint_options(attack)
    attack.add_argument("--searches", type=int, metavar="K", help="independent searches, each one member of the bank")
    attack.add_argument("--output", type=Path, metavar="FILE", help="where to write the bank, an npz file")
    _add_overrides(attack)
    _add_json(attack)

    finetune = add(
        "finetune",
        commands.finetune,
        "run an experiment up to its online fine-tuning",
        "afrl finetune tune_configs/hopper_demo.yaml",
        "afrl finetune tune_configs/hopper_demo.yaml finetune.steps=100000 perturbation.condition=random",
    )
    _add_config(finetune)
    _add_json(finetune)

    evaluate = add(
        "evaluate",
        commands.evaluate,
        "run an experiment's evaluation, or measure checkpoints side by side",
        "afrl evaluate tune_configs/hopper_demo.yaml",
        "afrl evaluate offline.safetensors finetuned.safetensors --env Hopper-v4 --bank bank.npz --output comparison",
        "afrl evaluate policy.safetensors --env hopper --episodes 20 --adaptive-attack --json",
    )
    evaluate.add_argument(
        "targets", nargs="+", metavar="CHECKPOINT", help="policies or checkpoints of ours, or one YAML file"
    )
    _add_checkpoint_options(evaluate)
    evaluate.add_argument(
        "--bank", type=Path, action="append", metavar="FILE", help="attack bank for its fault's adversarial conditions"
    )
    evaluate.add_argument(
        "--critic", type=Path, metavar="CHECKPOINT", help="whose critic the condition pgd descends on"
    )
    evaluate.add_argument("--episodes", type=int, metavar="N", help="episodes per condition")
    evaluate.add_argument(
        "--adaptive-attack", action="store_true", default=None, help="also search attacks on each policy itself"
    )
    evaluate.add_argument(
        "--output", type=Path, metavar="DIR", help="folder for scores.parquet, summary.json and table.md (evaluation)"
    )
    evaluate.set_defaults(overrides=[])
    _add_json(evaluate)

    sweep = add(
        "sweep",
        commands.sweep,
        "run the trials that the settings' search describes, and compare them",
        "afrl sweep tune_configs/hopper_beta_kappa.yaml",
        "afrl sweep tune_configs/hopper_beta_kappa.yaml runtime.trials_at_once=2",
        "afrl sweep tune_configs/hopper_demo.yaml 'search.space.seed=[0, 1, 2]'",
    )
    _add_config(sweep)
    _add_json(sweep)

    reproduce = add(
        "reproduce",
        study_commands.reproduce,
        "run studies, the paper's tables and figures among them, or list them with their costs",
        "afrl reproduce list",
        "afrl reproduce list table1 my_study.yaml --scale small",
        "afrl reproduce table1 fig4 --scale small",
        "afrl reproduce table1 --scale small --robot halfcheetah --seeds 2",
        "afrl reproduce table2 --scale paper runtime.address=auto 'data={type: d4rl, dataset: \"{robot}-expert-v2\"}'",
        "afrl reproduce my_study.yaml --scale smoke",
        "afrl reproduce table1 --scale small --seeds 5 --reuse docs/results/paper",
    )
    reproduce.add_argument(
        "studies",
        nargs="+",
        metavar="STUDY",
        help="names or YAML files of studies, or all; list before them tells what they cost",
    )
    add_study_options(reproduce)
    reproduce.add_argument(
        "--reuse",
        metavar="DIR",
        help="earlier results, a folder for each study, such as runs/studies/small: seeds in them are not run again",
    )
    reproduce.set_defaults(overrides=[])
    _add_json(reproduce)

    expert = add(
        "train-expert",
        commands.train_expert,
        "train a robot's expert online with TD3 or SAC, the source of generated data",
        "afrl train-expert hopper",
        "afrl train-expert hopper --steps 300000 --seed 1 --output experts/hopper algorithm.batch_size=256",
        "afrl train-expert halfcheetah --algorithm sac",
    )
    expert.add_argument("robot", metavar="ROBOT", help="a robot's short name: hopper, halfcheetah, walker2d, ant")
    expert.add_argument("--algorithm", metavar="NAME", help="what it learns with: td3 (the default) or sac")
    expert.add_argument("--steps", type=int, metavar="N", help="environment steps, one update each")
    expert.add_argument("--seed", type=int, metavar="S", help="the one seed of the training")
    expert.add_argument("--output", type=Path, metavar="DIR", help="folder of the training (runs/expert-ROBOT)")
    _add_overrides(expert)
    _add_json(expert)

    add_job_commands(subcommands, _add_command)

    data = add(
        "data",
        commands.data,
        "load or roll out the configured data set, describe it, and write it as a file",
        "afrl data tune_configs/hopper_demo.yaml",
        "afrl data tune_configs/hopper_demo.yaml --npz hopper.npz data.transitions=10000",
        "afrl data tune_configs/hopper_demo.yaml --minari mujoco/hopper/mine-v0",
    )
    _add_config(data)
    data.add_argument("--npz", type=Path, metavar="FILE", help="write the transitions to this file")
    data.add_argument("--minari", metavar="NAME", help="write them as a local Minari data set of this name")
    _add_json(data)

    ui = add(
        "ui",
        commands.ui,
        "show the runs in MLflow's web interface",
        "afrl ui",
        "afrl ui tune_configs/hopper_demo.yaml --port 5001",
    )
    ui.add_argument("config", nargs="?", type=Path, metavar="CONFIG", help="the experiment whose runs to show")
    _add_overrides(ui)
    ui.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    ui.add_argument("--port", type=int, default=5000, help="port to listen on (%(default)s)")

    config = add(
        "config",
        config_commands.show,
        "show, check or describe settings",
        "afrl config show tune_configs/hopper_demo.yaml --differences",
        "afrl config validate tune_configs/*.yaml",
        "afrl config schema > afrl.schema.json",
    )
    _add_config_commands(config)
    return parser


def _add_config_commands(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(metavar="VERB", required=True, parser_class=_Parser)
    show = _add_command(
        verbs,
        "show",
        config_commands.show,
        "print the resolved settings as YAML",
        "afrl config show tune_configs/hopper_demo.yaml seed=1",
        "afrl config show tune_configs/hopper_demo.yaml --differences",
    )
    show.add_argument("config", nargs="?", type=Path, metavar="CONFIG", help="a YAML file; the defaults when absent")
    _add_overrides(show)
    show.add_argument("--differences", action="store_true", help="only what differs from the defaults")
    validate = _add_command(
        verbs,
        "validate",
        config_commands.validate,
        "check files, with all trials of their searches",
        "afrl config validate tune_configs/*.yaml",
    )
    validate.add_argument("configs", nargs="+", metavar="CONFIG", help="YAML files")
    validate.set_defaults(overrides=[])
    _add_command(
        verbs,
        "schema",
        config_commands.schema,
        "print the JSON schema, for editors that complete and check YAML",
        "afrl config schema > afrl.schema.json",
    )


def _add_command(
    subcommands: "argparse._SubParsersAction[_Parser]", name: str, handler: _Handler, summary: str, *examples: str
) -> argparse.ArgumentParser:
    command = subcommands.add_parser(
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}.",
        epilog="\n  ".join(["examples:", *examples]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.set_defaults(handler=handler)
    return command


def _add_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", type=Path, metavar="CONFIG", help="a YAML file of settings")
    _add_overrides(parser)


def _add_overrides(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("overrides", nargs="*", default=[], metavar="NAME=VALUE", help=_OVERRIDES_HELP)


def _add_checkpoint_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--env", metavar="ID", help="environment of the checkpoint: a robot's name or a Gymnasium id")
    parser.add_argument("--epsilon", type=float, metavar="E", help="bound on the perturbation (the robot's own)")
    parser.add_argument("--seed", type=int, metavar="S", help="the one seed of all random draws")


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print the result as JSON on standard output")
