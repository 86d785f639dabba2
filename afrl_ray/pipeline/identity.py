"""What makes two pieces of work the same, for stages and their keys, studies, earlier results and MLflow."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from afrl_ray.config import CurriculumSettings, ExperimentSettings, LinearCurriculum

Part = Literal["data", "pretrain", "attack", "run", "finetune", "evaluation", "scores", "everything"]
"""A piece of an experiment's work."""

_SECTIONS: dict[Part, frozenset[str]] = {
    "data": frozenset({"data"}),
    "pretrain": frozenset({"pretrain"}),
    "attack": frozenset({"attack"}),
    "run": frozenset({"finetune", "perturbation", "curriculum"}),
    "finetune": frozenset({"finetune", "perturbation", "curriculum", "search"}),
    "evaluation": frozenset({"evaluation", "attack", "perturbation"}),
    "scores": frozenset(),
}
"""What each depends on beside the seed, the environment and the stages before it."""

_OF_ALL_WORK = ("name", "output", "runtime", "tracking")
"""Sections that change no result."""

_IMPLIED: dict[str, Any] = {"search.exploit_evaluations": 3}
"""Settings that earlier versions did not have, and the values that they worked with: their results stay known."""


def content_key(content: Any) -> str:
    """SHA-256 of the canonical JSON of `content`."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


def identity(settings: ExperimentSettings, part: Part) -> dict[str, Any]:
    """The settings that `part` depends on, as the plain values of a file: equal for equal work.

    A run that `can_grow` has no length: a longer one begins as a shorter one does.
    """
    if part == "everything":
        return _without_implied(settings.model_dump(mode="json", exclude=set(_OF_ALL_WORK)))
    content = settings.model_dump(mode="json", include={"seed", "environment", *_SECTIONS[part]})
    if part == "run" and can_grow(settings):
        content = _without(content, ["finetune.steps"])
    return _without_implied(content)


def can_grow(settings: ExperimentSettings) -> bool:
    """Whether a run of more steps would go through the same weights.

    Not under the linear curriculum, whose q depends on the length, and not where the end is a checkpoint that a longer
    run would not have: at each of them episodes begin anew.
    """
    finetune = settings.finetune
    return not isinstance(settings.curriculum, LinearCurriculum) and finetune.steps % finetune.checkpoint_interval == 0


def result_identity(settings: ExperimentSettings, trained: bool) -> dict[str, Any]:
    """What results depend on, as the plain values of a file: equal where two cases would give the same.

    It lacks what has no effect on a case that is trained, or that is not, and what all runs of a command share.
    """
    finetune, perturbation = settings.finetune, settings.perturbation
    is_perturbed = trained and perturbation.condition != "normal" and not _is_never(settings.curriculum)
    idle = [*_OF_ALL_WORK]
    if finetune.checkpoint_interval == finetune.evaluation_interval:
        idle.append("finetune.checkpoint_interval")  # as results of earlier versions say it
    idle.append("finetune.offline_ratio" if finetune.start == "scratch" else "finetune.random_steps")
    if not is_perturbed:
        idle += ["curriculum", "perturbation.condition"]
    if not trained:
        idle.append("finetune")
    if not (is_perturbed and perturbation.condition == "pgd"):
        tested = any("pgd" in (one, getattr(one, "condition", None)) for one in settings.evaluation.conditions)
        idle.append("perturbation.pgd.critic" if tested else "perturbation.pgd")
    return _without_implied(_without(settings.model_dump(mode="json"), idle))


def _is_never(curriculum: CurriculumSettings) -> bool:
    """Whether no episode is perturbed."""
    return getattr(curriculum, "q", None) == 0 or getattr(curriculum, "q_max", None) == 0


def _without_implied(tree: Mapping[str, Any]) -> dict[str, Any]:
    return _without(tree, [name for name, value in _IMPLIED.items() if _value(tree, name) == value])


def _value(tree: Any, name: str) -> Any:
    for section in name.split("."):
        tree = tree.get(section) if isinstance(tree, Mapping) else None
    return tree


def _without(tree: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """`tree` without sections and values of these dotted names."""
    result = dict(tree)
    for name in names:
        section, _, rest = name.partition(".")
        if rest and isinstance(result.get(section), Mapping):
            result[section] = _without(result[section], [rest])
        elif not rest:
            result.pop(section, None)
    return result
