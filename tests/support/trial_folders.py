"""Where an experiment keeps what its trials leave: names relative to its output folder, written down here alone."""

import json
from pathlib import Path, PurePath

import numpy as np

from afrl_ray.algorithms import ReplayLog
from afrl_ray.algorithms.replay import _read_index

TRIALS = "runs/*"
"""The folders of trials, each of which may be waiting, under way or over."""
CHECKPOINTS = f"{TRIALS}/checkpoint"
"""Their last checkpoints."""
CHECKPOINT_RECORDS = f"{CHECKPOINTS}*/training.json"
"""What says how far these are; below a URI, an entry may be called NAME@VERSION."""
LEARNER = "algorithm/learner_group/learner"
"""In a checkpoint, what the algorithm's learner has saved."""


def begun(output: Path) -> list[Path]:
    """The folders of all trials that have been evaluated at least once."""
    return sorted(file.parent for file in output.glob(f"{TRIALS}/curve.json"))


def checkpoints(output: Path) -> list[Path]:
    """The last checkpoint of every trial that has one."""
    return sorted(file.parent for file in output.glob(f"{CHECKPOINTS}/training.json"))


def trial_of(checkpoint: PurePath) -> str:
    """The trial that a checkpoint is of."""
    return checkpoint.parent.name


def replay_of(trial: str) -> str:
    """The folder of a trial's rows."""
    return f"runs/{trial}/replay"


def replay_rows(checkpoint: Path) -> np.ndarray:
    """The rows of a checkpoint's replay, (n, width), which lie in the folder of its trial."""
    index = _read_index(checkpoint / LEARNER / "replay")
    assert index is not None
    return index.slots(ReplayLog(str(checkpoint.parent / "replay")))


def trial_names(output: Path) -> list[str]:
    """Names of a finished experiment's trials, in the order in which the search made them."""
    manifest = json.loads((output / "finetune" / "manifest.json").read_text())
    return [trial["name"] for trial in manifest["outputs"]["trials"]]
