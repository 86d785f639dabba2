"""The arguments of `afrl submit` and `afrl jobs`."""

import argparse
from collections.abc import Callable
from typing import Any

from afrl_ray.cli import job_commands

_AddCommand = Callable[..., argparse.ArgumentParser]


def add_job_commands(subcommands: Any, add_command: _AddCommand) -> None:
    """Add both commands to `subcommands`; `add_command` makes one with its handler, summary and examples."""
    submit = add_command(
        subcommands,
        "submit",
        job_commands.submit,
        "run a whole experiment, sweep or study as a job of a Ray cluster, or here when no cluster is given",
        "afrl submit tune_configs/hopper_demo.yaml --address http://HEAD:8265",
        "afrl submit tune_configs/hopper_demo.yaml seed=1 output=runs/hopper-1 --id hopper-seed-1",
        "afrl submit tune_configs/hopper_beta_kappa.yaml runtime.trials_at_once=8 --autoscaling",
        "afrl submit table1 fig4 --scale small --seeds 5",
    )
    submit.add_argument(
        "targets",
        nargs="+",
        metavar="CONFIG",
        help="a YAML file of settings; with --scale, studies as of afrl reproduce",
    )
    submit.set_defaults(overrides=[])
    add_study_options(submit)
    _add_address(submit)
    submit.add_argument("--id", metavar="ID", help="the job's id; made from the settings when not given")
    _add_autoscaling(submit)

    jobs = add_command(
        subcommands,
        "jobs",
        job_commands.show_list,
        "list, inspect, follow, stop or resume the jobs of a cluster",
        "afrl jobs list --address http://HEAD:8265",
        "afrl jobs status hopper-0123456789ab",
        "afrl jobs logs -f hopper-0123456789ab",
    )
    verbs = jobs.add_subparsers(metavar="VERB", required=True)
    listing = add_command(
        verbs, "list", job_commands.show_list, "list the jobs, the latest submission last", "afrl jobs list --json"
    )
    _add_address(listing)
    status = _add_verb(verbs, add_command, "status", job_commands.status, "show one job and its last words")
    logs = _add_verb(verbs, add_command, "logs", job_commands.logs, "print what the driver wrote")
    logs.add_argument("-f", "--follow", action="store_true", help="go on until the job is over")
    stop = _add_verb(verbs, add_command, "stop", job_commands.stop, "end a job, also one that waits to begin")
    resume = _add_verb(verbs, add_command, "resume", job_commands.resume, "go on with a job that stopped or failed")
    _add_autoscaling(resume)
    for parser in (submit, listing, status, stop, resume):
        parser.add_argument("--json", action="store_true", help="print the result as JSON on standard output")


def add_study_options(parser: argparse.ArgumentParser) -> None:
    """Which cases of studies are run, and where their results go."""
    parser.add_argument("--scale", metavar="SCALE", help="smoke, small or paper, or a YAML file")
    parser.add_argument("--robot", nargs="+", metavar="ROBOT", help="names or ids, instead of the scale's robots")
    parser.add_argument("--seeds", type=int, metavar="N", help="independent runs of everything: seeds 0 to N - 1")
    parser.add_argument(
        "--output", metavar="DIR", help="folder or URI of all stages and results (runs/studies); stages are shared"
    )


def _add_verb(
    verbs: Any, add_command: _AddCommand, name: str, handler: Callable[[argparse.Namespace], None], summary: str
) -> argparse.ArgumentParser:
    verb = add_command(verbs, name, handler, summary, f"afrl jobs {name} hopper-0123456789ab")
    verb.add_argument("id", metavar="ID", help="a job's id, as submit and list print it")
    _add_address(verb)
    return verb


def _add_address(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--address", metavar="URL", help="the cluster's dashboard, http://HOST:8265 (RAY_API_SERVER_ADDRESS)"
    )


def _add_autoscaling(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--autoscaling", action="store_true", help="the cluster adds nodes: submit also what its present ones lack"
    )
