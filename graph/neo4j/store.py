"""The Neo4j store, over the official driver; works on Community, needs no plugin."""

from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, LiteralString, Self

import neo4j
import pyarrow as pa
import pyarrow.compute as pc

from graph.attribute_types import widened
from graph.diff import (
    Diff,
    compared_columns,
    conform_nodes,
    conform_relationships,
    diff_rows,
    node_keys,
    relationship_keys,
)
from graph.errors import SchemaError, StoreError
from graph.neo4j import indexes, statements
from graph.neo4j import write as neo4j_write
from graph.neo4j.connection import Connection
from graph.neo4j.query import run_query
from graph.neo4j.read import ENDS, node_batches, relationship_batches
from graph.schema import MEDIA_LABELS, EdgeType, GraphSchema, NodeKind, RelationshipKind
from graph.store import Counts, StoreOptions, Vocabulary, without_password

_WIDTH = (pa.bool_(), pa.int64(), pa.float64(), pa.string())
_VALUE_TYPES = {"STRING": pa.string(), "INTEGER": pa.int64(), "FLOAT": pa.float64(), "BOOLEAN": pa.bool_()}


class Neo4jStore:
    """A `GraphStore` on a Neo4j server at a Bolt address.

    `credentials` is `(user, password)`, `database` the server's default where None. Raises `StoreError` where
    no server answers, the credentials are wrong or the database does not exist. Writes go in batches, each a
    transaction that is tried again while the server is away; a call cut off half-way is finished by running it again.
    """

    def __init__(
        self,
        address: str,
        *,
        credentials: tuple[str, str] | None = None,
        read_only: bool = False,
        database: str | None = None,
    ) -> None:
        """`address` may end in `#NAME`, the database, which goes before `database`."""
        self.address = address
        self.read_only = read_only
        self._schema = GraphSchema()
        self._ready: set[str] = set()
        self.notes: list[str] = []
        self._connection = Connection.to(address, credentials, database)

    def create_schema(self, schema: GraphSchema) -> None:
        """Make constraints, then range, full-text and vector indexes exist, and wait until they are online.

        A vector index of another length than the schema's is made anew: its vectors are being replaced. What other
        tools made serves where it can. An attribute that becomes decimal has its whole numbers changed. Raises
        `StoreError` before anything is made where something stands in the way, `SchemaError` where a property has
        another type.
        """
        self._writable()
        plan = indexes.plan(statements.wanted_indexes(schema), self._held(), self.address)
        schema = self._with_held(schema)
        for statement in (*plan.drop, *plan.create.values()):
            self._connection.run(statement)
        for name in plan.wait:
            self._connection.run(_AWAIT_INDEX, name=name)
        self._schema = schema
        self._tell_unindexed(schema)

    def write_nodes(self, label: str, table: pa.Table) -> int:
        """Insert or update nodes by `id`; returns how many were created or changed."""
        self._writable(label)
        kind = self._node(label, table.column_names)
        rows = conform_nodes(table, kind)
        _check_ids(label, rows["id"])
        statement, schema = self._nodes(label, compared_columns(rows))
        held = self._connection.transact(
            lambda t: pa.Table.from_batches(node_batches(t, statement, schema), schema), neo4j.READ_ACCESS
        )
        diff = diff_rows(rows, held, node_keys())
        neo4j_write.write_nodes(self._connection, kind, pa.concat_tables([diff.created, diff.changed]))
        return diff.written

    def write_relationships(self, edge: EdgeType, table: pa.Table) -> int:
        """Insert or update relationships; returns how many were created or changed.

        Raises `StoreError` that names the node where an end does not exist.
        """
        kind, diff = self._difference(EdgeType(*edge), table)
        neo4j_write.write_relationships(self._connection, kind, pa.concat_tables([diff.created, diff.changed]))
        return diff.written

    def replace_relationships(self, edge: EdgeType, table: pa.Table, stale: pa.Table) -> int:
        """Write relationships and delete others by key, each source's in one transaction."""
        kind, diff = self._difference(EdgeType(*edge), table)
        rows = pa.concat_tables([diff.created, diff.changed])
        return diff.written + neo4j_write.replace_relationships(
            self._connection, kind, rows, conform_relationships(stale, kind)
        )

    def delete_nodes(self, label: str, ids: Sequence[str]) -> int:
        """Delete nodes by `id`, with their relationships; returns how many there were."""
        self._writable(label)
        return neo4j_write.delete_nodes(self._connection, self._node(label, ()).label, ids)

    def read_nodes(self, label: str, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """`id` and the named properties of every node of a label; null where a node lacks one."""
        statement, schema = self._nodes(label, columns)
        with self._connection.errors(), self._connection.session() as session:
            yield from node_batches(session, statement, schema)

    def read_relationships(self, edge: EdgeType, columns: Sequence[str] = ()) -> Iterator[pa.RecordBatch]:
        """`source`, `target` and the named properties, many sources to a record: ten times faster than rows."""
        degrees, statement, schema = self._links(EdgeType(*edge), columns)
        with self._connection.errors(), self._connection.session() as session:
            yield from relationship_batches(session, degrees, statement, schema)

    def query(
        self,
        cypher: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        limit: int = 10_000,
        timeout: float = 30.0,
    ) -> pa.Table:
        """Run one read-only query in a read transaction; at most `limit` rows, `timeout` seconds.

        Nodes and relationships come as JSON text. Raises `QueryRefused` for anything but reading and for a
        result over 64 MiB, `StoreError` for a mistake in the query or its time.
        """
        with self._connection.errors(), self._connection.session(notices=True) as session:
            answer = run_query(session, cypher, dict(parameters or {}), limit=limit, timeout=timeout)
        self.notes += answer.unknown
        return answer.table

    def attributes(self, label: str) -> pa.Schema:
        """The properties that nodes of a label hold beside the graph schema's own, of several types the widest."""
        own = GraphSchema().nodes[self._node(label, ()).label].properties.names
        found: dict[str, set[pa.DataType]] = {}
        for record in self._connection.run(statements.attributes(label)):
            kind = _VALUE_TYPES.get(record["type"].removesuffix(" NOT NULL"))
            if kind is not None and record["name"] not in (*own, statements.VECTOR_MODEL):
                found.setdefault(record["name"], set()).add(kind)
        return pa.schema([(name, max(kinds, key=_WIDTH.index)) for name, kinds in sorted(found.items())])

    def counts(self) -> Counts:
        """Nodes of each label and relationships of each type, 0 where there are none."""
        types = dict.fromkeys(edge.relation for edge in self._schema.relationships)
        return Counts(
            {label: self._connection.run(statements.count_nodes(label))[0]["n"] for label in self._schema.nodes},
            {kind: self._connection.run(statements.count_relationships(kind))[0]["n"] for kind in types},
        )

    def index_states(self) -> dict[str, str]:
        """The name of each constraint and index that the graph wants -> `ONLINE`, another state, or `ABSENT`."""
        sizes = {label: self._connection.run(statements.vector_size(label)) for label in MEDIA_LABELS.values()}
        schema = self._schema.with_dimensions({label: found[0]["n"] for label, found in sizes.items() if found})
        held = self._held()
        return {
            name: next((h.state for h in held if h.serves(want)), "ABSENT")
            for name, want in statements.wanted_indexes(schema).items()
        }

    def vector_index(self, label: str, size: int) -> str | None:
        """The name of an index that searches a media label's vectors of a length now, None where there is none."""
        wanted = statements.vector_indexes({label: size})
        try:
            return next((indexes.vector_index(self._held(), want) for want in wanted.values()), None)
        except StoreError:  # an analyst's account may search an index and not list it
            return next(iter(wanted), None)

    def names(self) -> Vocabulary:
        """Every label, relationship type and property name that the database has met."""
        return Vocabulary(*(tuple(sorted(r["name"] for r in self._connection.run(call))) for call in _NAMES))

    def nearest(self, label: str, vector: Sequence[float], count: int) -> pa.Table | None:
        """`id`, `score` (cosine) from the vector index, which compresses: more than `count` are asked for."""
        index = self.vector_index(label, len(vector))
        if index is None:
            return None
        candidates = 2 * count + 20
        return self.query(_NEAREST, {"index": index, "vector": vector, "candidates": candidates}, limit=candidates)

    def is_outdated(self) -> bool:
        """Never: each query reads what the server holds then."""
        return False

    def close(self) -> None:
        """Close all connections; a second call does nothing."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _difference(self, edge: EdgeType, table: pa.Table) -> tuple[RelationshipKind, Diff]:
        """The rows of a table that the server does not hold yet; read again where the connection drops."""
        self._writable(edge.source, edge.target)
        kind = self._relationship(edge)
        rows = conform_relationships(table, kind)
        if not rows.num_rows:
            return kind, Diff(rows, rows)
        degrees, statement, schema = self._links(edge, rows.column_names)
        held = self._connection.transact(
            lambda t: pa.Table.from_batches(relationship_batches(t, degrees, statement, schema), schema),
            neo4j.READ_ACCESS,
        )
        return kind, diff_rows(rows, held, relationship_keys(kind))

    def _nodes(self, label: str, columns: Sequence[str]) -> tuple[LiteralString, pa.Schema]:
        kind = self._node(label, columns)
        names = list(dict.fromkeys(["id", *columns]))
        return statements.read_nodes(kind, names), pa.schema([_field(kind, c) for c in names])

    def _links(self, edge: EdgeType, columns: Sequence[str]) -> tuple[LiteralString, LiteralString, pa.Schema]:
        kind = self._relationship(edge)
        names = [c for c in dict.fromkeys(columns) if c not in ("source", "target")]
        schema = pa.schema([*ENDS, *(_field(kind, c) for c in names)])
        return statements.read_degrees(kind), statements.read_relationships(kind, names), schema

    def _writable(self, *labels: str) -> None:
        if self.read_only:
            raise StoreError(f"{self.address} is open for reading only; open it without read_only to write")
        if not self._ready.issuperset(labels):
            held = self._held()
            keys = statements.constraints(self._schema).values()
            self._ready = {key.on[0] for key in keys if any(index.serves(key) for index in held)}
        for label in labels:
            if label not in self._ready:
                raise SchemaError(f"{self.address} has no key for {label}; call create_schema with it first")

    def _held(self) -> list[indexes.Held]:
        return indexes.held_indexes(self._connection.run(indexes.SHOW))

    def _tell_unindexed(self, schema: GraphSchema) -> None:
        held, wanted = self._held(), statements.vector_indexes(schema.dimensions)
        for label, size in schema.dimensions.items():
            want = wanted.get(statements.vector_index_name(label))
            if want is None:
                why = f"more than the {statements.MAX_DIMENSIONS:,} that Neo4j indexes"
            elif other := next((h for h in held if h.serves(want) and h.size != size), None):
                why = f"and {other} of another tool is for {other.size:,}"
            else:
                continue
            self.notes.append(
                f"{label} vectors have {size:,} numbers, {why}: they are stored without an index, and a similarity "
                "search reads all of them"
            )

    def _node(self, label: str, columns: Sequence[str]) -> NodeKind:
        """The kind of a label; attributes that this session's schema lacks are looked up in the graph."""
        if label not in self._schema.nodes:
            raise SchemaError(f"{label!r} is no label of the graph (has {', '.join(self._schema.nodes)})")
        if not set(columns) <= set(self._schema.nodes[label].properties.names):
            self._schema = self._schema.with_attributes(label, self.attributes(label))
        return self._schema.nodes[label]

    def _with_held(self, schema: GraphSchema) -> GraphSchema:
        """The schema with attribute types that hold what the graph has; the graph's whole numbers follow."""
        nodes = dict(schema.nodes)
        for label, kind in schema.nodes.items():
            own = GraphSchema().nodes[label].properties.names
            if set(kind.properties.names) <= set(own):
                continue
            held = self.attributes(label)
            wide = widened(label, kind.properties, pa.schema([f for f in held if f.name in kind.properties.names]))
            for field in wide:
                if field.name in held.names and field.type != held.field(field.name).type:
                    self._connection.run(statements.widen(label, field.name))
            nodes[label] = NodeKind(label, wide)
        return GraphSchema(nodes, schema.relationships, schema.dimensions)

    def _relationship(self, edge: EdgeType) -> RelationshipKind:
        if edge not in self._schema.relationships:
            raise SchemaError(f"{'-'.join(edge)} is no relationship of the graph's schema")
        return self._schema.relationships[edge]


def open_address(address: str, options: StoreOptions) -> Neo4jStore:
    """The store of a Bolt address."""
    if "://" not in address:
        raise StoreError(
            f"store {without_password(address)!r} names no host; use ladybug:PATH, or bolt://, neo4j:// or "
            "neo4j+s://HOST:PORT"
        )
    return Neo4jStore(address, credentials=options.credentials, read_only=options.read_only, database=options.database)


_NAMES: tuple[LiteralString, ...] = (
    "CALL db.labels() YIELD label RETURN label AS name",
    "CALL db.relationshipTypes() YIELD relationshipType RETURN relationshipType AS name",
    "CALL db.propertyKeys() YIELD propertyKey RETURN propertyKey AS name",
)
# Candidates come by compressed vectors and are ranked again by the stored ones.
_NEAREST: LiteralString = """
CALL db.index.vector.queryNodes($index, $candidates, $vector) YIELD node
RETURN node.id AS id, 2 * vector.similarity.cosine(node.embedding, $vector) - 1 AS score
ORDER BY score DESC, id LIMIT $candidates"""
_AWAIT_INDEX: LiteralString = "CALL db.awaitIndex($name, 600)"
_KEY_BYTES = 8_164


def _check_ids(label: str, ids: pa.ChunkedArray) -> None:
    """A key over what a range index holds would stop the load half-way."""
    longest = pc.max(pc.binary_length(ids)).as_py() or 0
    if longest > _KEY_BYTES:
        row = pc.index(pc.binary_length(ids), longest).as_py()
        raise StoreError(
            f"{label} id {ids[row].as_py()[:40]!r}... has {longest:,} bytes; Neo4j's keys have {_KEY_BYTES:,} at most: "
            "shorten the id, or use the embedded store"
        )


def _field(kind: NodeKind | RelationshipKind, column: str) -> pa.Field:
    if column not in kind.properties.names:
        name = kind.label if isinstance(kind, NodeKind) else "-".join(kind.edge)
        raise SchemaError(f"{name}: no property {column!r} (has {', '.join(kind.properties.names)})")
    return kind.properties.field(column)
