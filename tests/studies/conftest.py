from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from afrl_ray.config.study import ScaleSettings, StudySettings
from afrl_ray.studies.plan import Plan

SCALE: dict[str, Any] = {
    "description": "for tests",
    "seeds": 2,
    "robots": ["hopper"],
    "policy_interval": 200,
    "settings": {"finetune": {"evaluation_interval": 100, "checkpoint_interval": 100}, "data.transitions": 500},
    "robot_settings": {"ant": {"finetune.offline_ratio": 0.25}},
    "presets": {"wide": {"finetune.algorithm.policy_delay": 3, "finetune.offline_ratio": 0.5}},
}
STUDY: dict[str, Any] = {
    "title": "A study",
    "arms": {"offline": {"trained": False}, "tuned": {}},
    "results": [{"type": "scores"}],
    "scales": {"tiny": {"steps": 400}},
}


@pytest.fixture
def make_plan(tmp_path: Path) -> Callable[..., Plan]:
    """A plan of the study above at the scale above, each with other top-level entries where given."""

    def make(study: dict[str, Any] | None = None, scale: dict[str, Any] | None = None, **options: Any) -> Plan:
        return Plan(
            "mine",
            StudySettings.model_validate({**STUDY, **(study or {})}),
            "tiny",
            ScaleSettings.model_validate({**SCALE, **(scale or {})}),
            tmp_path,
            **options,
        )

    return make
