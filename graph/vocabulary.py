"""The names that a store's graph knows: labels, relationship types and properties."""

from dataclasses import dataclass
from typing import LiteralString

from graph.neo4j.store import Neo4jStore
from graph.schema import GraphSchema
from graph.store import GraphStore

_NEO4J: tuple[LiteralString, ...] = (
    "CALL db.labels() YIELD label RETURN label AS name",
    "CALL db.relationshipTypes() YIELD relationshipType RETURN relationshipType AS name",
    "CALL db.propertyKeys() YIELD propertyKey RETURN propertyKey AS name",
)
_ATTRIBUTES: LiteralString = "CALL table_info('{label}') RETURN name"
_TABLES: LiteralString = "CALL show_tables() RETURN name"


@dataclass(frozen=True)
class Vocabulary:
    """Names in alphabetical order."""

    labels: tuple[str, ...]
    types: tuple[str, ...]
    properties: tuple[str, ...]


def vocabulary(store: GraphStore) -> Vocabulary:
    """The schema's own names, and what the store holds beside them: a dataset's attributes, foreign labels."""
    schema = GraphSchema()
    labels = set(schema.nodes)
    types = {edge.relation for edge in schema.relationships}
    properties = {name for node in schema.nodes.values() for name in node.properties.names}
    properties.update(name for kind in schema.relationships.values() for name in kind.properties.names)
    if isinstance(store, Neo4jStore):
        for names, statement in zip((labels, types, properties), _NEO4J, strict=True):
            names.update(store.query(statement)["name"].to_pylist())
    else:
        held = set(store.query(_TABLES)["name"].to_pylist())
        for label in held & {"User", "Item"}:
            properties.update(store.query(_ATTRIBUTES.format(label=label))["name"].to_pylist())
    return Vocabulary(*(tuple(sorted(names)) for names in (labels, types, properties)))
