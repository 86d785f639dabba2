"""From `afrl submit` to the first training step, on a running cluster: how long, and what the time goes to.

Submits tiny pipelines, one after the other, to the cluster of RAY_API_SERVER_ADDRESS, and reads the moments from the
driver's own log. Each one is stopped once it trains.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from datetime import datetime
from pathlib import Path
from typing import Any

from side_by_side import machine, print_record, record_parser

CONFIG = {
    "name": "first-step",
    "environment": {"id": "hopper", "max_episode_steps": 50},
    "data": {"transitions": 600},
    "pretrain": {"updates": 100_000, "evaluation_interval": 100, "evaluation_episodes": 1},
    "runtime": {"log_format": "json"},
}
MOMENTS = (
    "driver is ready",
    "all nodes see the output",
    "experiment is in MLflow",
    "process of pretraining is ready",
    "pretraining goes on",
)


def afrl(*arguments: str) -> str:
    done = subprocess.run([sys.executable, "-m", "afrl_ray", *arguments], capture_output=True, text=True, check=True)
    return done.stdout


def measure() -> dict[str, float]:
    """Seconds from the call of `afrl submit` to each moment."""
    job_id = f"first-step-{uuid.uuid4().hex[:8]}"
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "config.yaml"
        config.write_text(json.dumps(CONFIG))  # which is YAML too
        called = time.time()
        afrl("submit", str(config), f"output=runs/{job_id}", "--id", job_id)
    moments = {"submitted": time.time() - called}
    while MOMENTS[-1] not in moments:
        time.sleep(2)
        for line in afrl("jobs", "logs", job_id).splitlines():
            entry: dict[str, Any] = json.loads(line) if line.startswith('{"time"') else {}
            if entry.get("message") in MOMENTS and entry["message"] not in moments:
                moments[entry["message"]] = datetime.fromisoformat(entry["time"]).timestamp() - called
    afrl("jobs", "stop", job_id)
    return moments


def main(arguments: argparse.Namespace) -> None:
    rows = []
    for _ in range(arguments.repeats):
        rows.append({**measure(), "load": os.getloadavg()[0]})
        print({name: round(value, 1) for name, value in rows[-1].items()}, file=sys.stderr)
    medians = {name: statistics.median(row[name] for row in rows) for name in rows[0]}
    result = {"name": "time_to_first_step", "median": medians, "rows": rows, "machine": machine()}
    print_record(result, arguments)


if __name__ == "__main__":
    parser = record_parser(__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    main(parser.parse_args())
