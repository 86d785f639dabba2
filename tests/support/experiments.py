"""The smallest experiment that runs every stage for real, and the command that runs it in a process of its own."""

import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any


def afrl_command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "afrl_ray", *map(str, arguments)]


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[Any], timeout: float = 300.0) -> None:
    """Until `condition` holds, which it must before the command in `process` ends."""
    end = time.monotonic() + timeout
    while not condition():
        assert process.poll() is None, "the command ended before it could be killed"
        assert time.monotonic() < end, "the command never got as far as it was to be killed at"
        time.sleep(0.05)


def tiny_experiment(*sections: str, steps: int, interval: int = 100, name: str = "tiny") -> str:
    """YAML of a Hopper pipeline of `steps` steps online, with a checkpoint every `interval`; `sections` come last."""
    return f"""
name: {name}
environment: {{id: hopper, max_episode_steps: 50}}
data: {{transitions: 600}}
pretrain: {{updates: 100, evaluation_interval: 50, evaluation_episodes: 1, checkpoint_interval: 50}}
attack: {{population: 4, generations: 1, episodes: 2, training_bank: 1, validation_bank: 1, evaluation_bank: 1}}
finetune:
  {{steps: {steps}, evaluation_interval: {interval}, checkpoint_interval: {interval}, validation_episodes: 1}}
evaluation: {{episodes: 2, adaptive_attack: false}}
""" + "\n".join(sections)
