"""The paper-scale study on 8, 64 and 512 cores: hours, dollars, and what stops scaling first.

A model (benchmarks/scaling.py), fed with what the other scripts measured: give the figures as NAME=VALUE.
"""

import argparse
import json
from typing import Any

from afrl_ray.config import load_settings
from scaling import ScalingSettings, ceilings, estimate
from side_by_side import record_parser, write_record


def main(arguments: argparse.Namespace) -> None:
    settings = load_settings(ScalingSettings, None, arguments.overrides)
    rows: list[dict[str, Any]] = []
    for cores in arguments.cores:
        found = estimate(settings, cores)
        phases = {phase.name: {"hours": phase.hours, "limit": phase.limit} for phase in found.phases}
        rows.append(
            {
                "cores": cores,
                "hours": found.hours,
                "dollars": found.dollars,
                "utilisation": found.utilisation,
                "phases": phases,
            }
        )
    result = write_record(
        {"name": "scale_study", "settings": settings.model_dump(), "rows": rows, "ceilings": ceilings(settings)},
        arguments,
    )
    _print_tables(settings, result)
    if arguments.json:
        print(json.dumps(result))


def _print_tables(settings: ScalingSettings, result: dict[str, Any]) -> None:
    rows = result["rows"]
    print("| assumption | value | |\n| --- | --- | --- |")
    for name, field in ScalingSettings.model_fields.items():
        print(f"| `{name}` | {getattr(settings, name):,g} | {field.description} |")
    names = list(rows[0]["phases"])
    print("\n| cores | " + " | ".join(names) + " | hours in all | busy | dollars |")
    print("| --- |" + " --- |" * (len(names) + 3))
    for row in rows:
        cells = [f"{phase['hours']:,.1f} ({phase['limit']})" for phase in row["phases"].values()]
        ends = f"{row['hours']:,.0f} | {100 * row['utilisation']:.0f} % | {row['dollars']:,.0f} |"
        print(f"| {row['cores']} | " + " | ".join(cells) + f" | {ends}")
    print("\n| part | cores it is enough for |\n| --- | --- |")
    for name, cores in result["ceilings"].items():
        print(f"| {name} | {cores:,.0f} |")


if __name__ == "__main__":
    parser = record_parser(__doc__)
    parser.add_argument("overrides", nargs="*", default=[], metavar="NAME=VALUE", help="assumptions to change")
    parser.add_argument("--cores", type=int, nargs="+", default=[8, 64, 512])
    main(parser.parse_args())
