"""Where an experiment keeps what its trials leave: names relative to its output folder, written down here alone."""

import json
from pathlib import Path, PurePath

TRIALS = "finetune/tune/trial_*"
"""The folders of trials under way."""
CHECKPOINTS = f"{TRIALS}/checkpoint_*"
"""Their checkpoints, of which some may be half written or half deleted."""
LAST_CHECKPOINTS = "finetune/checkpoints/*"
"""Those of trials that are over."""
LEARNER = "algorithm/learner_group/learner"
"""In a checkpoint, what the algorithm's learner has saved."""


def begun(output: Path) -> list[Path]:
    """The folders of all trials that have begun."""
    return sorted(output.glob(TRIALS))


def checkpoints(output: Path) -> list[Path]:
    """All whole checkpoints of trials under way."""
    return sorted(file.parent for file in output.glob(f"{CHECKPOINTS}/curriculum.json"))


def last_checkpoints(output: Path) -> list[Path]:
    """The last checkpoint of every trial of a finished experiment."""
    return sorted(output.glob(LAST_CHECKPOINTS))


def trial_of(checkpoint: PurePath) -> str:
    """The trial that a checkpoint under way is of."""
    return checkpoint.parent.name


def replay_of(trial: str) -> str:
    """The folder of a trial's rows."""
    return f"finetune/replay/{trial.removeprefix('trial_')}"


def trial_names(output: Path) -> list[str]:
    """Names of a finished experiment's trials, in the order in which the search made them."""
    manifest = json.loads((output / "finetune" / "manifest.json").read_text())
    return [trial["name"] for trial in manifest["outputs"]["trials"]]


def trial_failures(output: Path) -> int:
    """How often trials failed, as Tune has counted."""
    newest = max(output.glob("finetune/tune/experiment_state-*.json"))
    trials = json.loads(newest.read_text())["trial_data"]
    return sum(json.loads(metadata)["num_failures"] for _, metadata in trials)
