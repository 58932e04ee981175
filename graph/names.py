"""Names that a graph may hold, and how Cypher writes them: any script, no character that could end the quoting."""

import unicodedata
from typing import LiteralString

from graph.errors import SchemaError

_LONGEST = 250


def checked(name: str) -> str:
    """The name, where every store can hold it.

    Raises `SchemaError` for an empty or overlong one, and for control characters and backslashes: servers read
    `\\u0060` as a backtick before they look at quotes.
    """
    bad = next((c for c in name if c == "\\" or unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp")), None)
    if not name.strip() or len(name) > _LONGEST or bad is not None:
        raise SchemaError(
            f"{name[:_LONGEST]!r} is no name for a graph; use 1 to {_LONGEST} characters, no backslash or line break"
        )
    return name


def quoted(name: str) -> LiteralString:
    """A checked name as a Cypher identifier, safe to put into a statement."""
    return backticked(checked(name))


def backticked(name: str) -> LiteralString:
    """A name that a server holds already, in backticks, its own doubled: nothing in it ends the quoting.

    Not for names from elsewhere: a server may read `\\u0060` as a backtick (`checked`).
    """
    safe: LiteralString = name.replace("`", "``")
    return f"`{safe}`"
