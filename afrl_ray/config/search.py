"""Search spaces: which settings the trials differ in, and what values they take."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    GetJsonSchemaHandler,
    PositiveInt,
    ValidationError,
    model_serializer,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from afrl_ray.config.base import Settings


class Choice(Settings):
    """One of the listed values; written as a plain list."""

    choice: tuple[Any, ...] = Field(min_length=1)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"anyOf": [{"type": "array", "minItems": 1}, handler(schema)]}

    @model_serializer
    def _as_list(self) -> list[Any]:
        return list(self.choice)


class Uniform(Settings):
    """Uniform between two numbers."""

    uniform: tuple[float, float]

    @model_validator(mode="after")
    def _ordered(self) -> "Uniform":
        low, high = self.uniform
        if not low < high:
            raise ValueError(f"uniform: [{low:g}, {high:g}] does not go from a smaller to a larger number")
        return self


class LogUniform(Settings):
    """Uniform in the logarithm, between two positive numbers."""

    loguniform: tuple[float, float]

    @model_validator(mode="after")
    def _ordered(self) -> "LogUniform":
        low, high = self.loguniform
        if not 0 < low < high:
            raise ValueError(f"loguniform: [{low:g}, {high:g}] does not go from a smaller to a larger number over 0")
        return self


_KINDS: dict[str, type[Choice] | type[Uniform] | type[LogUniform]] = {
    "choice": Choice,
    "uniform": Uniform,
    "loguniform": LogUniform,
}


def _read_dimension(value: object) -> Choice | Uniform | LogUniform:
    """A list, or a mapping with one of the three keys, as its class."""
    if isinstance(value, Choice | Uniform | LogUniform):
        return value
    if isinstance(value, list | tuple):
        value = {"choice": value}
    if isinstance(value, Mapping) and len(value) == 1:
        (kind,) = value
        if kind in _KINDS:
            try:
                return _KINDS[kind].model_validate(value)
            except ValidationError as error:
                details = error.errors()[0]
                if details["type"] == "value_error":  # our own check; any other is about the form
                    raise details["ctx"]["error"] from error
    raise ValueError("write a list of values, {uniform: [low, high]}, {loguniform: [low, high]} or {choice: [values]}")


Dimension = Annotated[Choice | Uniform | LogUniform, BeforeValidator(_read_dimension)]
"""Choice is written as a plain list."""


class SearchSettings(Settings):
    """Trials of the fine-tuning stage that differ in some settings."""

    method: Literal["grid", "random", "optuna"] = "grid"
    """grid: every combination of the listed values; random: draws from lists and distributions; optuna: draws where
    earlier trials were good (needs `pip install "afrl-ray[optuna]"`)."""
    space: dict[str, Dimension] = Field(min_length=1)
    """Dotted setting -> list of values, or for another search than a grid also {uniform|loguniform: [low, high]}."""
    samples: PositiveInt = 1
    """Number of trials; a grid has each of its combinations once."""
    scheduler: Literal["fifo", "asha", "pbt"] = "fifo"
    """The Tune scheduler that the curriculum scheduler wraps. asha: bad trials are stopped early; pbt: `samples` trials
    are a population, whose worst members now and then go on from the best ones, with other values."""
    grace_evaluations: PositiveInt = 3
    """ASHA never stops a trial before this many evaluations."""
    exploit_evaluations: PositiveInt = 3
    """Evaluations of a population's member until it may go on from another (ours)."""

    @model_validator(mode="after")
    def _grid_has_each_combination_once(self) -> "SearchSettings":
        if self.method != "grid":
            return self
        for name, dimension in self.space.items():
            if not isinstance(dimension, Choice):
                raise ValueError(f"{name} is a distribution, which no grid can list; set search.method to random")
            repeated = [value for place, value in enumerate(dimension.choice) if value in dimension.choice[:place]]
            if repeated:
                raise ValueError(
                    f"{name} lists {repeated[0]} twice, which would make exact copies; list it once, or different "
                    "seeds in search.space, such as seed: [0, 1, 2]"
                )
        if self.samples > 1:
            raise ValueError(
                f"samples is {self.samples}, but repetitions of a grid would be exact copies; "
                "list seeds in search.space, such as seed: [0, 1, 2], or set search.method to random"
            )
        return self

    @model_validator(mode="after")
    def _population_can_change(self) -> "SearchSettings":
        if self.scheduler != "pbt":
            return self
        if self.method != "random" or self.samples < 2:
            raise ValueError(
                f"a population (search.scheduler pbt) is drawn at random and has members: method is {self.method} and "
                f"samples {self.samples}; write method: random and samples: 4, say"
            )
        for name, dimension in self.space.items():
            values = dimension.choice if isinstance(dimension, Choice) else ()
            if not name.startswith("curriculum.") or any(not isinstance(value, int | float) for value in values):
                raise ValueError(
                    f"a population changes numbers of the curriculum on the way, and {name} is none; "
                    "write search.scheduler: fifo or asha, or leave it out of search.space"
                )
        return self
