"""Names in a query that the embedded store's graph does not have.

A server answers such a query: an unknown property is null, and it says so. The embedded store refuses it, so the
property is put as a null parameter and the query asked again. An unknown label or type stays an error.
"""

import re
from typing import NamedTuple

from graph.errors import StoreError
from graph.ladybug.catalog import Catalog
from graph.readonly.unknown import unknown_name

_PROPERTY = re.compile(r"Cannot find property (.+?) for (.+?)\.?$")
_TABLE = re.compile(r"Table (.+?) does not exist\.?$")
_STRING = r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|//[^\r\n]*|/\*.*?\*/"


class Absent(NamedTuple):
    """`variable.property` of a query."""

    variable: str
    name: str

    def __str__(self) -> str:
        return f"{self.variable}.{self.name}"


def absent_property(error: StoreError) -> Absent | None:
    """The property that a message misses."""
    found = _PROPERTY.search(str(error))
    return Absent(found[2], found[1]) if found else None


def with_null(cypher: str, absent: Absent, parameter: str) -> str:
    """The query with `$parameter` in the property's place; unchanged where it stands in a pattern's braces."""
    variable, name = (f"(?:{re.escape(word)}|`{re.escape(word)}`)" for word in absent)
    place = rf"(?<![\w.`$]){variable}\s*\.\s*{name}(?![\w`])"
    return re.sub(
        rf"({_STRING})|{place}", lambda found: found[1] or f"${parameter}", cypher, flags=re.IGNORECASE | re.DOTALL
    )


def unknown_property_note(name: str, catalog: Catalog) -> str:
    """What is told of a property that the graph lacks."""
    return unknown_name("property", name, catalog.properties())


def clear_error(error: StoreError, absent: Absent | None, catalog: Catalog) -> StoreError:
    """The error with the nearest name, where it comes of a name that the graph lacks."""
    if absent is not None:
        return StoreError(unknown_property_note(absent.name, catalog))
    if table := _TABLE.search(str(error)):
        return StoreError(unknown_name("label or relationship type", table[1], catalog.tables()))
    return error
