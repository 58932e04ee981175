"""The base of all results: a frozen dataclass that knows its JSON and a short `repr`."""

from collections.abc import Mapping
from dataclasses import Field, dataclass, fields, is_dataclass
from typing import Any

from pydantic import JsonValue

JsonObject = Mapping[str, JsonValue]
"""A document that is handed on whole."""

OPTIONAL: Mapping[str, object] = {"omit": True}
"""Metadata of a field that is no key of the JSON where it is None."""


def key(name: str) -> Mapping[str, object]:
    """Metadata of an optional field whose JSON key is no name that Python takes (`from`, `import`)."""
    return {**OPTIONAL, "key": name}


@dataclass(frozen=True)
class Record:
    """A result: its fields, in order, are the keys of its JSON."""

    def to_json(self) -> dict[str, JsonValue]:
        """Plain values for `json.dumps`, as `--json` prints them."""
        return _object(self)


def _object(value: Any) -> dict[str, JsonValue]:
    present = [part for part in fields(value) if not _left_out(part, getattr(value, part.name))]
    return {part.metadata.get("key", part.name): plain(getattr(value, part.name)) for part in present}


def _left_out(part: "Field[Any]", value: object) -> bool:
    return value is None and bool(part.metadata.get("omit"))


def plain(value: Any) -> JsonValue:
    """A value as JSON has it: records and dataclasses as objects, tuples as lists, paths as text."""
    if isinstance(value, Record):
        return value.to_json()
    if is_dataclass(value) and not isinstance(value, type):
        return _object(value)
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return value if value is None or isinstance(value, str | bool | int | float) else str(value)
