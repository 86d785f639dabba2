"""What every settings class shares."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema


class Settings(BaseModel):
    """Immutable settings that refuse unknown keys and infinite numbers; attribute docstrings become the schema's
    descriptions."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        result = handler(schema)
        for setting in handler.resolve_ref_schema(result).get("properties", {}).values():
            if "oneOf" in setting and "discriminator" in setting:
                _require_type(setting)
        return result


def _one_line(text: str) -> str:
    if not text.strip() or not text.isprintable():
        raise ValueError("write a name, on one line")
    return text


Name = Annotated[str, AfterValidator(_one_line)]
"""What tables and figures call something."""


def _require_type(union: JsonSchemaValue) -> None:
    """Make a mapping without `type` match the default's class alone, as loading has it, instead of every class."""
    of_class = union["discriminator"]["mapping"]
    default = of_class.get(union.get("default", {}).get("type"))
    union["oneOf"] = [
        member if member["$ref"] == default else {"allOf": [member], "required": ["type"]} for member in union["oneOf"]
    ]


def require_steps_to_learn_in(random_steps: int, steps: int) -> None:
    """
    Raises:
        ValueError: all `steps` of a training would have random actions and no updates.
    """
    if random_steps >= steps:
        raise ValueError(
            f"random_steps ({random_steps}) leave none of the steps ({steps}) to learn in; "
            f"write random_steps: {steps // 10} or less"
        )
