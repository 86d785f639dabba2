"""`afrl reproduce`. Handlers import what they need when they are called, to keep `afrl --help` quick."""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from afrl_ray.cli.submittable import Submittable
    from afrl_ray.studies.plan import Case, Plan

_OUTPUT = Path("runs") / "studies"


def reproduce(arguments: argparse.Namespace) -> None:
    """Run studies and say where their reports are, or list what studies cost."""
    _move_overrides(arguments)
    if "list" in arguments.studies:
        if arguments.reuse is not None:
            raise ValueError("list tells what studies cost from the beginning; leave --reuse out")
        arguments.studies = [name for name in arguments.studies if name != "list"] or ["all"]
        _list(arguments)
        return
    if arguments.scale is None:
        raise ValueError("say how large: add --scale smoke, small or paper (afrl reproduce list tells what each costs)")
    plans = plans_and_cases(arguments)[0]  # mistakes before anything slow is imported
    from afrl_ray.studies.reproduce import reproduce as run

    done = run(plans)
    if arguments.json:
        print(json.dumps({one.plan.name: one.location for one in done}))
        return
    for one in done:
        print(one.report.read_text(encoding="utf-8"))


def plans_and_cases(arguments: argparse.Namespace) -> tuple[list["Plan"], list["Case"]]:
    """What the arguments name, and everything that has to be run for it.

    Raises:
        ConfigError: there is no such study or scale, or its settings do not fit.
        ValueError: two studies have the same name.
    """
    from afrl_ray.studies.expand import expand

    names = _names(arguments)
    _refuse_the_same_name(names, "the folders of their results")
    plans = [_plan(arguments, name, arguments.scale) for name in names]
    return plans, [case for plan in plans for case in expand(plan)]


def _names(arguments: argparse.Namespace) -> list[str]:
    """Each study that is meant, once; `all` stands for the package's."""
    from afrl_ray.studies.files import study_names

    every = [one for name in arguments.studies for one in (study_names() if name == "all" else [name])]
    return list(dict.fromkeys(every))


def submit(arguments: argparse.Namespace) -> "Submittable":
    """The same studies as a job, which brings along the YAML files that are not the package's own."""
    arguments.studies = arguments.targets
    _move_overrides(arguments)
    plans, cases = plans_and_cases(arguments)
    from afrl_ray.cli.submittable import Submittable
    from afrl_ray.config.yaml_file import read_settings_file
    from afrl_ray.jobs.specification import studies_job
    from afrl_ray.studies.files import is_file, short_name

    given = [*(plan.name for plan in plans), arguments.scale]
    _refuse_the_same_name([name for name in given if is_file(name)], "the files that travel with a job")
    files = {Path(name).name: read_settings_file(Path(name).expanduser()) for name in given if is_file(name)}
    *studies, scale = [Path(name).name if is_file(name) else name for name in given]
    options: list[str] = ["--scale", scale, "--output", str(arguments.output or _OUTPUT)]
    options += ["--robot", *arguments.robot] if arguments.robot else []
    options += ["--seeds", str(arguments.seeds)] if arguments.seeds is not None else []
    overrides = [text for text in arguments.overrides if not text.startswith("runtime.address=")]
    return Submittable(
        cases[0].settings.runtime.address,
        lambda: reproduce(arguments),
        lambda: studies_job(
            "-".join(map(short_name, given)),
            [*studies, *options, *overrides],
            files,
            [case.settings for case in cases],
            output=str(arguments.output or _OUTPUT),
        ),
    )


def _refuse_the_same_name(names: Sequence[str], what: str) -> None:
    """
    Raises:
        ValueError: two of `names` are the same as `what`, which is all that would tell them apart.
    """
    from afrl_ray.studies.files import short_name

    for index, name in enumerate(names):
        for other in names[:index]:
            if short_name(other) == short_name(name):
                raise ValueError(f"{other} and {name} are both {short_name(name)} as {what}; rename one of them")


def _plan(arguments: argparse.Namespace, study: str, scale: str) -> "Plan":
    from afrl_ray.config import ExperimentSettings, with_settings
    from afrl_ray.config.loading import parse_overrides
    from afrl_ray.studies.files import load_scale, load_study, short_name
    from afrl_ray.studies.plan import Plan

    if arguments.seeds is not None and arguments.seeds < 1:
        raise ValueError(f"--seeds is {arguments.seeds}; write 1 or more")
    if arguments.output == "":
        raise ValueError(f"--output is empty; write a folder or URI, or leave it out for {_OUTPUT}")
    settings = with_settings(ExperimentSettings(), {"output": str(arguments.output or _OUTPUT)})
    return Plan(
        study,
        load_study(study),
        short_name(scale),
        load_scale(scale),
        settings.output_directory,
        tuple(arguments.robot or ()),
        arguments.seeds,
        parse_overrides(arguments.overrides),
        settings.output_uri,
        _folder(getattr(arguments, "reuse", None)),
    )


def _folder(reuse: str | None) -> Path | None:
    """
    Raises:
        FileNotFoundError: there is no such folder.
    """
    folder = Path(reuse).expanduser() if reuse is not None else None
    if folder is not None and not folder.is_dir():
        raise FileNotFoundError(f"--reuse {reuse}: there is no such folder")
    return folder


def _list(arguments: argparse.Namespace) -> None:
    """One line for each study and scale that it has, and what each scale costs in all, shared work counted once."""
    from afrl_ray.studies.cost import Cost, hours, shown, works_of
    from afrl_ray.studies.expand import expand
    from afrl_ray.studies.files import load_scale, scale_names, short_name

    scales = [arguments.scale] if arguments.scale else scale_names()
    rows: list[dict[str, Any]] = []
    works = []
    for scale in scales:
        plans = [_plan(arguments, name, scale) for name in _names(arguments)]
        if arguments.scale is None or "all" in arguments.studies:
            plans = [plan for plan in plans if plan.scale_name in plan.study.scales]
        together = [("all of them", plans)] if len(plans) > 1 else []
        for name, group in [*((plan.name, [plan]) for plan in plans), *together]:
            cases = [case for plan in group for case in expand(plan)]
            works.append(works_of(group))
            robots, seeds = dict.fromkeys(case.robot for case in cases), {case.seed for case in cases}
            title = group[0].study.title if len(group) == 1 else load_scale(scale).description
            rows.append(
                {"scale": short_name(scale), "study": name, "title": title, "robots": list(robots), "seeds": len(seeds)}
                | vars(Cost.of(works[-1]))
            )
    if not rows:
        names = " or ".join(map(short_name, scales))
        raise ValueError(f"none of these studies has a scale {names}; write --scale with one that they have")
    from afrl_ray.studies.speed import measure_speeds

    cores = os.cpu_count() or 1
    speeds = measure_speeds([work for found in works for work in found])
    for row, found in zip(rows, works, strict=True):
        row["hours"] = round(hours(found, speeds, cores), 2)
    if arguments.json:
        print(json.dumps(rows))
        return
    _print_table(rows)
    for robot, speed in speeds.items():
        updates = ", ".join(f"{shown(algorithm)} {rate:,.0f}" for algorithm, rate in speed.updates.items())
        print(
            f"{robot}: {speed.env_steps:,.0f} environment steps/s, {speed.pgd_steps:,.0f} steps of PGD/s; "
            f"updates/s: {updates}",
            file=sys.stderr,
        )
    print(
        f"Hours are for {cores} idle cores. The speeds of one process were measured just now, in seconds of processor "
        "time; episodes are taken to last to their time limit, so that most studies take less. Starting processes, on "
        "which the smoke scale spends its minutes, is not counted.",
        file=sys.stderr,
    )


def _print_table(rows: Sequence[dict[str, Any]]) -> None:
    columns = ["scale", "study", "robots", "seeds", "runs", "steps", "updates", "other steps", "hours", "title"]
    lines = [columns]
    for row in rows:
        robots = ",".join(row["robots"])
        numbers = [f"{row[name]:,}" for name in ("training_steps", "offline_updates", "other_steps")]
        counts = [str(row["seeds"]), str(row["runs"])]
        lines.append([row["scale"], row["study"], robots, *counts, *numbers, _hours(row["hours"]), row["title"]])
    widths = [max(len(line[index]) for line in lines) for index in range(len(columns))]
    numeric = range(3, 9)
    for line in lines:
        cells = [
            cell.rjust(widths[index]) if index in numeric else cell.ljust(widths[index])
            for index, cell in enumerate(line)
        ]
        print("  ".join(cells).rstrip())


def _hours(hours: float) -> str:
    """Of less than one of them, how many hundredths."""
    return f"{hours:,.1f}" if hours >= 1 else f"{hours:.2f}"


def _move_overrides(arguments: argparse.Namespace) -> None:
    """NAME=VALUE may stand anywhere, also where argparse took it for a study or a robot."""
    for name in ("studies", "robot"):
        words = getattr(arguments, name) or []
        arguments.overrides = [word for word in words if "=" in word] + arguments.overrides
        setattr(arguments, name, [word for word in words if "=" not in word])
    if not arguments.studies:
        raise ValueError("name a study, or list")
