"""What a policy is measured under."""

import copy
import difflib
from typing import Annotated, Literal, get_args

from pydantic import BeforeValidator, Field, PositiveInt, ValidationError, field_validator, model_validator

from afrl_ray.config.base import Name, Settings
from afrl_ray.config.errors import explain, shown
from afrl_ray.config.fault import FaultSettings
from afrl_ray.config.introspection import take_truths
from afrl_ray.config.perturbation import Condition, check_condition

RESERVED_NAMES = ("mean", "mixture", "adaptive attack")
"""What tables call something else."""


class ConditionSettings(Settings):
    """A condition under a fault of its own, beside those under the experiment's fault."""

    name: Name
    """What tables call it."""
    fault: FaultSettings = FaultSettings()
    condition: Literal["random", "adversarial", "pgd"] = "random"
    """A uniform draw for each episode, a member of a bank that is made for this fault, or PGD at each step."""

    @model_validator(mode="after")
    def _fits(self) -> "ConditionSettings":
        check_condition(self.condition, self.fault)
        return self


def _read_condition(value: object) -> object:
    """A mapping as `ConditionSettings`, with the mistakes in it on one line."""
    if isinstance(value, ConditionSettings) or value in get_args(Condition):
        return value
    if not isinstance(value, dict):
        close = difflib.get_close_matches(str(value), get_args(Condition), n=1)
        choices = f"one of {', '.join(get_args(Condition))}, or a mapping of name, fault and condition"
        raise ValueError(f"did you mean {close[0]}?" if close else f"write {choices}")
    value = copy.deepcopy(value)
    if truths := take_truths(ConditionSettings, value):
        raise ValueError("; ".join(f"{name} is {shown(truth)}; write a number" for name, truth in truths))
    try:
        return ConditionSettings.model_validate(value)
    except ValidationError as error:
        raise ValueError("; ".join(message for _, message in explain(error, ConditionSettings))) from error


EvaluatedCondition = Annotated[Condition | ConditionSettings, BeforeValidator(_read_condition)]


class EvaluationSettings(Settings):
    conditions: tuple[EvaluatedCondition, ...] = Field(("normal", "random", "adversarial"), min_length=1)
    """normal, random, adversarial, pgd: under perturbation.fault. {name, fault, condition}: under another one."""
    episodes: PositiveInt = 100
    """Episodes per condition, each with a seed of its own that all policies share."""
    adaptive_attack: bool = True
    """Also attack every fine-tuned policy afresh: a test that the bank, made against the pretrained policy, is not."""
    adaptive_searches: PositiveInt = 2
    """Independent searches of the adaptive attack."""

    @field_validator("conditions")
    @classmethod
    def _told_apart(cls, value: tuple[EvaluatedCondition, ...]) -> tuple[EvaluatedCondition, ...]:
        names = [condition if isinstance(condition, str) else condition.name for condition in value]
        for name, condition in zip(names, value, strict=True):
            if name in (RESERVED_NAMES if isinstance(condition, str) else (*RESERVED_NAMES, *get_args(Condition))):
                raise ValueError(f"{name} is what tables call something else; write another name")
            if names.count(name) > 1:
                raise ValueError(f"{name} is there twice; give each condition a name of its own")
        return value
