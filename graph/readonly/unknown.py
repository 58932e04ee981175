"""What to say of a label, relationship type or property that a query names and the graph does not have."""

import difflib
from collections.abc import Collection

from graph.schema import GraphSchema


def unknown_name(kind: str, name: str, known: Collection[str]) -> str:
    """One sentence; `kind` is what the name should be, `known` what there is."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    folded = [other for other in known if other.casefold() == name.casefold()]
    hint = f"did you mean {(folded or near)[0]!r}?" if folded or near else f"it has {_shown(known)}"
    return f"the graph has no {kind} {name!r}; {hint}"


def schema_names(kind: str) -> set[str]:
    """The schema's own names of a kind (`label`, `relationship type` or `property`)."""
    schema = GraphSchema()
    if kind == "label":
        return set(schema.nodes)
    if kind == "relationship type":
        return {edge.relation for edge in schema.relationships}
    names = {name for kind in schema.nodes.values() for name in kind.properties.names}
    return names | {name for kind in schema.relationships.values() for name in kind.stored}


def _shown(known: Collection[str], most: int = 20) -> str:
    names = sorted(known)
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")
