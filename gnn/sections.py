"""A model with one more section for each recommender, read by that recommender's own `Config`.

This is the union of all recommenders' settings, by name and open: pydantic's own discriminated unions are closed when
the class is made, and what a package outside brings is known later.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import (
    BaseModel,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from gnn.registry import COMPOSITE, RECOMMENDERS, settings_of

NETWORK = "hetero"
"""The recommender whose section is not called like itself."""


class Sectioned(BaseModel, extra="allow"):
    """Keys that are no field are sections: each a `Config`, or an error as for any unknown key."""

    @classmethod
    def owner(cls, section: str) -> str | None:
        """The recommender whose settings stand in a section; None where there is no such section."""
        known = section in RECOMMENDERS and section not in (*COMPOSITE, NETWORK)
        return section if known else None

    @property
    def sections(self) -> dict[str, BaseModel]:
        """The settings held, by section."""
        return self.model_extra or {}

    @classmethod
    def keys(cls) -> list[str]:
        """All keys it takes."""
        return [*cls.model_fields, *(name for name in RECOMMENDERS if cls.owner(name))]

    @model_serializer(mode="wrap")
    def _without_empty(self, handler: SerializerFunctionWrapHandler, info: SerializationInfo) -> dict[str, Any]:
        """Where defaults are left out, so are the sections that hold nothing else."""
        written: dict[str, Any] = handler(self)
        short = info.exclude_unset or info.exclude_defaults
        return {key: value for key, value in written.items() if not (short and key in self.sections and value == {})}

    @model_validator(mode="before")
    @classmethod
    def _read(cls, raw: Any) -> Any:
        return cls.read_sections(raw) if isinstance(raw, Mapping) else raw

    @classmethod
    def read_sections(cls, raw: Mapping[str, Any]) -> dict[str, Any]:
        """The same with each section as settings. Raises `ValidationError` that names key and value."""
        read: dict[str, Any] = {}
        errors: list[InitErrorDetails] = []
        for key, value in raw.items():
            owner = None if key in cls.model_fields else cls.owner(key)
            if key in cls.model_fields:
                read[key] = value
            elif owner is None:
                errors.append({"type": "extra_forbidden", "loc": (key,), "input": value})
            else:
                try:
                    read[key] = settings_of(owner).model_validate(value)
                except ValidationError as error:
                    errors += _within(key, error)
        if errors:
            raise ValidationError.from_exception_data(cls.__name__, errors)
        return read


def _within(section: str, error: ValidationError) -> list[InitErrorDetails]:
    """What is wrong in a section, as seen from outside it."""
    return [
        {
            "type": PydanticCustomError(found["type"], found["msg"], found.get("ctx")),
            "loc": (section, *found["loc"]),
            "input": found["input"],
        }
        for found in error.errors()
    ]
