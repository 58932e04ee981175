"""What a cookbook entry is, and how the text of a parameter becomes its value."""

from collections.abc import Mapping
from dataclasses import dataclass

from graph.errors import GraphError

Value = str | int | float
"""What a parameter holds."""


@dataclass(frozen=True)
class Recipe:
    """One question in Cypher, with its parameters' defaults; None marks one that has to be given (a text)."""

    name: str
    description: str
    cypher: str
    parameters: Mapping[str, Value | None]
    columns: tuple[str, ...]

    def arguments(self, given: Mapping[str, str | int | float]) -> dict[str, Value]:
        """Every parameter's value: those given, cast to the default's type, and the defaults of the others.

        Raises `GraphError` that names an unknown, missing or unreadable parameter.
        """
        for name in given:
            if name not in self.parameters:
                known = ", ".join(self.parameters) or "none"
                raise GraphError(f"{self.name}: parameter {name!r} is unknown; it takes {known}")
        values: dict[str, Value] = {}
        for name, default in self.parameters.items():
            value = given.get(name, default)
            if value is None:
                raise GraphError(f"{self.name}: parameter {name!r} is missing; give {name}=VALUE")
            values[name] = _cast(f"{self.name}: parameter {name!r}", value, default)
        return values


def _cast(what: str, value: Value, default: Value | None) -> Value:
    kind = str if default is None else type(default)
    try:
        return kind(value)
    except ValueError:
        raise GraphError(f"{what} is {value!r}; give a {'whole ' if kind is int else ''}number") from None
