"""The table of docs/results/reliability.md, from the records that `make reliability` leaves in a folder."""

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

HEAD = """\
| fault | times | as undisturbed | resumed by hand | whole intervals repeated | seconds to recover (median, longest) |
| --- | --- | --- | --- | --- | --- |"""

_REPEATED = "whole_intervals_repeated"


def figures(records: list[dict[str, Any]]) -> dict[str, Any]:
    """What one row shows; times are of the runs that recovered, and null where none is known."""
    seconds = [record["seconds_to_recover"] for record in records if "seconds_to_recover" in record]
    return {
        "times": len(records),
        "passed": sum(record["passed"] for record in records),
        "resumed": sum(record.get("resumed", False) for record in records),
        _REPEATED: max((record[_REPEATED] for record in records if _REPEATED in record), default=None),
        "median_seconds": statistics.median(seconds) if seconds else None,
        "longest_seconds": max(seconds, default=None),
    }


def row(fault: str, found: dict[str, Any]) -> str:
    """One line of the table."""
    repeated = "" if found[_REPEATED] is None else found[_REPEATED]
    has_times = found["median_seconds"] is not None
    times = f"{found['median_seconds']:.0f}, {found['longest_seconds']:.0f}" if has_times else ""
    return f"| {fault} | {found['times']} | {found['passed']} | {found['resumed']} | {repeated} | {times} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=Path("docs/results/reliability"))
    parser.add_argument("--json", action="store_true", help="print the figures as one JSON object on the last line")
    arguments = parser.parse_args()
    records = {file.stem: json.loads(file.read_text()) for file in sorted(arguments.folder.glob("*.json"))}
    faults = {fault: figures(found) for fault, found in records.items() if isinstance(found, list)}
    print(HEAD)
    for fault, found in faults.items():
        print(row(fault, found))
    if arguments.json:
        print(json.dumps({"name": "fault_table", "faults": faults}))


if __name__ == "__main__":
    main()
