"""The table of docs/results/reliability.md, from the records that `make reliability` leaves in a folder."""

import json
import statistics
import sys
from pathlib import Path
from typing import Any

HEAD = """\
| fault | times | as undisturbed | resumed by hand | whole intervals repeated | seconds to recover (median, longest) |
| --- | --- | --- | --- | --- | --- |"""

_REPEATED = "whole_intervals_repeated"


def row(fault: str, records: list[dict[str, Any]]) -> str:
    """One line; times are of the runs that recovered."""
    passed = sum(record["passed"] for record in records)
    resumed = sum(record.get("resumed", False) for record in records)
    repeated = max((record[_REPEATED] for record in records if _REPEATED in record), default="")
    seconds = [record["seconds_to_recover"] for record in records if "seconds_to_recover" in record]
    times = f"{statistics.median(seconds):.0f}, {max(seconds):.0f}" if seconds else ""
    return f"| {fault} | {len(records)} | {passed} | {resumed} | {repeated} | {times} |"


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/results/reliability")
    print(HEAD)
    for file in sorted(folder.glob("*.json")):
        records = json.loads(file.read_text())
        if isinstance(records, list):
            print(row(file.stem, records))


if __name__ == "__main__":
    main()
