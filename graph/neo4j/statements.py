"""The Cypher that the Neo4j store sends, as templates; only names that the schema holds are put into them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import LiteralString

from graph.diff import VECTOR
from graph.names import quoted
from graph.schema import MEDIA_LABELS, GraphSchema, NodeKind, RelationshipKind, stored_name

WORDS_INDEX = "modalweave_words"
"""The full-text index over titles, names and texts."""

MAX_DIMENSIONS = 4_096
"""The longest vectors that Neo4j indexes."""

VECTOR_MODEL = "vector_model"
"""Of a node with a model's vectors: whose they are. No attribute of a dataset, so a build leaves it."""

FORMER = ("modalweave_item_title", "modalweave_entity_name")
"""Range indexes that earlier versions made: they take no value over 8 kB, and nothing reads by them."""

_WORDS = ("Item", "Text", "Entity"), ("title", "content", "name")

_CONSTRAINT: LiteralString = "CREATE CONSTRAINT {name} IF NOT EXISTS FOR (n:{label}) REQUIRE n.id IS UNIQUE"
_RELATION_RANGE: LiteralString = "CREATE INDEX {name} IF NOT EXISTS FOR ()-[r:{relation}]-() ON (r.{property})"
_FULL_TEXT: LiteralString = (
    "CREATE FULLTEXT INDEX {name} IF NOT EXISTS FOR (n:Item|Text|Entity) ON EACH [n.title, n.content, n.name]"
)
_VECTOR: LiteralString = (
    "CREATE VECTOR INDEX {name} IF NOT EXISTS FOR (n:{label}) ON n.embedding OPTIONS {{indexConfig: "
    "{{`vector.dimensions`: {size}, `vector.similarity_function`: 'cosine'}}}}"
)
_WRITE_NODES: LiteralString = "UNWIND $rows AS row MERGE (n:{label} {{id: row.id}}) SET n += row"
# kept as 32-bit numbers: half the space of a list, and what the bulk import makes
_WRITE_VECTORS: LiteralString = (
    "UNWIND $rows AS row MERGE (n:{label} {{id: row.id}}) SET n += row{{.*, {vector}: null}} "
    "WITH n, row WHERE row.{vector} IS NOT NULL CALL db.create.setNodeVectorProperty(n, '{vector}', row.{vector})"
)
_DELETE_NODES: LiteralString = "UNWIND $rows AS id MATCH (n:{label} {{id: id}}) DETACH DELETE n RETURN count(*) AS n"
_WRITE_RELATIONSHIPS: LiteralString = (
    "UNWIND $rows AS row MATCH (a:{source} {{id: row.source}}) MATCH (b:{target} {{id: row.target}}) "
    "MERGE (a)-[r:{relation}{key}]->(b) SET r += row.properties RETURN count(*) AS n"
)
_DELETE_RELATIONSHIPS: LiteralString = (
    "UNWIND $rows AS row MATCH (a:{source} {{id: row.source}})-[r:{relation}{key}]->(b:{target} {{id: row.target}}) "
    "DELETE r RETURN count(*) AS n"
)
_MISSING_END: LiteralString = (
    "UNWIND $rows AS row OPTIONAL MATCH (a:{source} {{id: row.source}}) "
    "OPTIONAL MATCH (b:{target} {{id: row.target}}) WITH row, a, b WHERE a IS NULL OR b IS NULL "
    "RETURN CASE WHEN a IS NULL THEN row.source ELSE row.target END AS id LIMIT 1"
)
# the hints: a plan made while a label was empty would go through all its nodes for every page
_READ_NODES: LiteralString = (
    "MATCH (n:{label}) USING INDEX n:{label}(id) WHERE n.id >= $start "
    "WITH n ORDER BY n.id LIMIT $size RETURN collect([{values}]) AS page"
)
_READ_RELATIONSHIPS: LiteralString = (
    "UNWIND $parts AS part CALL (part) {{ "
    "UNWIND part AS id MATCH (a:{source} {{id: id}})-[r:{relation}]->(b:{target}) USING INDEX a:{source}(id) "
    "RETURN collect(id) AS source, collect(b.id) AS target, collect(r) AS links }} RETURN {values}"
)
_COUNT_NODES: LiteralString = "MATCH (n:{label}) RETURN count(n) AS n"
_COUNT_RELATIONSHIPS: LiteralString = "MATCH ()-[r:{relation}]->() RETURN count(r) AS n"
_VECTOR_SIZE: LiteralString = "MATCH (n:{label}) WHERE n.{vector} IS NOT NULL RETURN size(n.{vector}) AS n LIMIT 1"
_ATTRIBUTES: LiteralString = (
    "MATCH (n:{label}) UNWIND keys(n) AS name WITH DISTINCT name, valueType(n[name]) AS type RETURN name, type"
)

_WIDEN: LiteralString = (
    "MATCH (n:{label}) WHERE n.{property} IS :: INTEGER NOT NULL CALL (n) {{ "
    "SET n.{property} = toFloat(n.{property}) }} IN TRANSACTIONS OF 10000 ROWS"
)


def constraint_name(label: str) -> str:
    """The name of the constraint on a label's key."""
    return f"modalweave_{label.lower()}_id"


def vector_index_name(label: str) -> str:
    """The name of the vector index of a media label, e.g. `modalweave_image`."""
    return f"modalweave_{label.lower()}"


@dataclass(frozen=True)
class Wanted:
    """A constraint or index that a graph has, and the statement that makes it."""

    statement: LiteralString
    kind: str
    """Of the index: `RANGE`, `FULLTEXT` or `VECTOR`."""
    on: tuple[str, ...]
    """Labels, or a relationship type."""
    properties: tuple[str, ...]
    unique: bool = False
    size: int | None = None
    """A vector index's length."""


def constraints(schema: GraphSchema) -> dict[str, Wanted]:
    """Name -> uniqueness constraint on the key of each label."""
    return {
        name: Wanted(
            _CONSTRAINT.format(name=quoted(name), label=quoted(label)), "RANGE", (label,), ("id",), unique=True
        )
        for label, name in ((label, constraint_name(label)) for label in schema.nodes)
    }


def indexes() -> dict[str, Wanted]:
    """The range index over the models of written-back links, and the full-text index over words."""
    model, on = "modalweave_recommended_model", ("RECOMMENDED", "model")
    by_model = _RELATION_RANGE.format(name=quoted(model), relation=quoted(on[0]), property=quoted(on[1]))
    return {
        WORDS_INDEX: Wanted(_FULL_TEXT.format(name=quoted(WORDS_INDEX)), "FULLTEXT", *_WORDS),
        model: Wanted(by_model, "RANGE", on[:1], on[1:]),
    }


def vector_indexes(dimensions: Mapping[str, int]) -> dict[str, Wanted]:
    """Index name -> index of each media label whose vector length is known and not over `MAX_DIMENSIONS`."""
    return {
        name: Wanted(
            _VECTOR.format(name=quoted(name), label=quoted(label), size=int(size)),
            "VECTOR",
            (label,),
            (VECTOR,),
            size=int(size),
        )
        for label, size in dimensions.items()
        if label in MEDIA_LABELS.values() and size <= MAX_DIMENSIONS
        for name in [vector_index_name(label)]
    }


def wanted_indexes(schema: GraphSchema) -> dict[str, Wanted]:
    """Name -> every constraint and index of a graph, constraints first."""
    return constraints(schema) | indexes() | vector_indexes(schema.dimensions)


def write_nodes(kind: NodeKind, *, vectors: bool = False) -> LiteralString:
    """Insert or update nodes by `id` from `$rows` (maps of all properties, with `vectors` a vector among them)."""
    if vectors:
        return _WRITE_VECTORS.format(label=quoted(kind.label), vector=VECTOR)
    return _WRITE_NODES.format(label=quoted(kind.label))


def delete_nodes(label: str) -> LiteralString:
    """Delete the nodes of a label whose ids are `$rows`, with their relationships; returns how many."""
    return _DELETE_NODES.format(label=quoted(label))


def write_relationships(kind: RelationshipKind) -> LiteralString:
    """Insert or update relationships from `$rows` (`source`, `target`, `properties`); returns how many."""
    return _WRITE_RELATIONSHIPS.format(**_ends(kind), key=_key(kind))


def delete_relationships(kind: RelationshipKind) -> LiteralString:
    """Delete the relationships with the keys in `$rows` (as for writing); returns how many."""
    return _DELETE_RELATIONSHIPS.format(**_ends(kind), key=_key(kind))


def missing_end(kind: RelationshipKind) -> LiteralString:
    """The id of one node that `$rows` name and the graph lacks."""
    return _MISSING_END.format(**_ends(kind))


def read_nodes(kind: NodeKind, columns: Sequence[str]) -> LiteralString:
    """The named properties of the `$size` nodes of a label from the id `$start` on, as one record: a list of lists."""
    values: LiteralString = ", ".join(f"n.{quoted(c)}" for c in columns)
    return _READ_NODES.format(label=quoted(kind.label), values=values)


def read_degrees(kind: RelationshipKind) -> LiteralString:
    """The same for `id` and the number of relationships of a kind's type that leave the node (from its record)."""
    source, relation, _ = kind.edge
    values: LiteralString = f"n.id, COUNT {{ (n)-[:{quoted(relation)}]->() }}"
    return _READ_NODES.format(label=quoted(source), values=values)


def read_relationships(kind: RelationshipKind, columns: Sequence[str]) -> LiteralString:
    """The relationships of each part of `$parts`, a list of source ids, as one record: a list for each column."""
    links: list[LiteralString] = [f"[r IN links | r.{quoted(stored_name(c))}]" for c in columns]
    values: LiteralString = ", ".join(["source", "target", *links])
    return _READ_RELATIONSHIPS.format(**_ends(kind), values=values)


def count_nodes(label: str) -> LiteralString:
    """How many nodes a label has (answered from the server's own counts)."""
    return _COUNT_NODES.format(label=quoted(label))


def count_relationships(relation: str) -> LiteralString:
    """How many relationships a type has (answered from the server's own counts)."""
    return _COUNT_RELATIONSHIPS.format(relation=quoted(relation))


def vector_size(label: str) -> LiteralString:
    """The length of one vector of a media label; no row where no node has one."""
    return _VECTOR_SIZE.format(label=quoted(label), vector=VECTOR)


def attributes(label: str) -> LiteralString:
    """The property names that a label's nodes have, and the types of their values."""
    return _ATTRIBUTES.format(label=quoted(label))


def widen(label: str, name: str) -> LiteralString:
    """Make the whole numbers of a property decimal; nothing is left to do the second time."""
    return _WIDEN.format(label=quoted(label), property=quoted(name))


def _key(kind: RelationshipKind) -> LiteralString:
    key = ", ".join(f"{quoted(d)}: row.properties.{quoted(d)}" for d in kind.discriminators)
    return f" {{{key}}}" if key else ""


def _ends(kind: RelationshipKind) -> dict[str, LiteralString]:
    source, relation, target = kind.edge
    return {"source": quoted(source), "relation": quoted(relation), "target": quoted(target)}
