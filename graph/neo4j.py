"""The Neo4j store, over the official driver; works on Community, needs no plugin."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from itertools import islice
from types import TracebackType
from typing import Any, LiteralString, Self

import neo4j
import pyarrow as pa

from graph import neo4j_cypher as cypher_text
from graph.diff import (
    VECTOR,
    compared_columns,
    conform_nodes,
    conform_relationships,
    diff_rows,
    node_keys,
    relationship_keys,
)
from graph.errors import SchemaError, StoreError
from graph.neo4j_errors import credentials_in_address, store_errors
from graph.neo4j_query import run_query
from graph.schema import EdgeType, GraphSchema, NodeKind, RelationshipKind
from graph.store import Counts

BATCH_ROWS = 10_000
"""Rows sent in one transaction where they carry no vector."""

BATCH_NUMBERS = 76_800
"""Vector components sent in one transaction: 200 rows of 384; larger batches are slower, not faster."""

_CHUNK = 65_536
_ENDS = (("source", pa.string()), ("target", pa.string()))
_VALUE_TYPES = {"STRING": pa.string(), "INTEGER": pa.int64(), "FLOAT": pa.float64(), "BOOLEAN": pa.bool_()}


class Neo4jStore:
    """A `GraphStore` on a Neo4j server at a Bolt address.

    `credentials` is `(user, password)`, `database` the server's default where None. Raises `StoreError` where
    no server answers, the credentials are wrong or the database does not exist. Writes go in batches, each a
    transaction that the driver retries; a call cut off half-way is finished by running it again.
    """

    def __init__(
        self,
        address: str,
        *,
        credentials: tuple[str, str] | None = None,
        read_only: bool = False,
        database: str | None = None,
    ) -> None:
        if problem := credentials_in_address(address):
            raise problem
        self.address = address
        self.read_only = read_only
        self._database = database
        self._user = credentials[0] if credentials else None
        self._schema = GraphSchema()
        self._ready: set[str] = set()
        self._closed = False
        with self._errors():
            self._driver = neo4j.GraphDatabase.driver(
                address, auth=credentials, connection_timeout=15, notifications_min_severity="OFF"
            )
        try:
            # not execute_query, which tries for half a minute to reach a server that is not there
            with self._errors(), self._session() as session:
                session.run("RETURN 1").consume()
        except StoreError:
            self._driver.close()
            raise

    def create_schema(self, schema: GraphSchema) -> None:
        """Make constraints, then range, full-text and vector indexes exist, and wait until they are online.

        A vector index of another length than the schema's is made anew: its vectors are being replaced.
        """
        self._writable()
        held = self._held()
        sizes = {cypher_text.vector_index_name(label): size for label, size in schema.dimensions.items()}
        vectors = cypher_text.vector_indexes(schema.dimensions)
        for name in [n for n in vectors if held.get(n, sizes[n]) != sizes[n]]:
            self._run(_DROP_INDEX.format(name=cypher_text.quoted(name)))
            del held[name]
        wanted = cypher_text.constraints(schema) | cypher_text.indexes() | vectors
        missing = [statement for name, statement in wanted.items() if name not in held]
        for statement in missing:
            self._run(statement)
        if missing:
            self._run(_AWAIT_INDEXES)
        self._schema = schema

    def write_nodes(self, label: str, table: pa.Table) -> int:
        """Insert or update nodes by `id`; returns how many were created or changed."""
        self._writable(label)
        kind = self._node(label, table.column_names)
        rows = conform_nodes(table, kind)
        columns = compared_columns(rows)
        schema = pa.schema([kind.properties.field(c) for c in columns])
        held = pa.Table.from_batches(self.read_nodes(label, columns), schema)
        diff = diff_rows(rows, held.select(columns), node_keys())
        statement = cypher_text.write_nodes(kind)
        for part in (diff.created, diff.changed):
            for batch in _batches(part):
                self._write(statement, batch.to_pylist())
        return diff.written

    def write_relationships(self, edge: EdgeType, table: pa.Table) -> int:
        """Insert or update relationships; returns how many were created or changed.

        Raises `StoreError` that names the node where an end does not exist.
        """
        edge = EdgeType(*edge)
        self._writable(edge.source, edge.target)
        kind = self._relationship(edge)
        rows = conform_relationships(table, kind)
        columns = [c for c in rows.column_names if c not in ("source", "target")]
        schema = pa.schema([*_ENDS, *(kind.properties.field(c) for c in columns)])
        held = pa.Table.from_batches(self.read_relationships(edge, columns), schema)
        diff = diff_rows(rows, held, relationship_keys(kind))
        statement, missing = cypher_text.write_relationships(kind), cypher_text.missing_end(kind)
        for part in (diff.created, diff.changed):
            for batch in _batches(part):
                self._write(statement, _nested(batch, columns), missing)
        return diff.written

    def read_nodes(self, label: str, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """`id` and the named properties of every node of a label; null where a node lacks one."""
        kind = self._node(label, columns)
        names = list(dict.fromkeys(["id", *columns]))
        schema = pa.schema([_field(kind, c) for c in names])
        statement = cypher_text.read_nodes(kind, names)
        with self._errors(), self._session() as session:
            result = session.run(statement)
            while rows := [record.values() for record in islice(result, _CHUNK // 8)]:
                yield _batch(list(zip(*rows, strict=True)), schema)

    def read_relationships(self, edge: EdgeType, columns: Sequence[str] = ()) -> Iterator[pa.RecordBatch]:
        """`source`, `target` and the named properties, collected per source: 6 times faster than rows."""
        kind = self._relationship(EdgeType(*edge))
        names = [c for c in dict.fromkeys(columns) if c not in ("source", "target")]
        schema = pa.schema([*_ENDS, *(_field(kind, c) for c in names)])
        statement = cypher_text.read_relationships(kind, names)
        with self._errors(), self._session() as session:
            sources: list[str] = []
            targets: list[Any] = []
            for record in session.run(statement):
                source, found = record.values()
                sources += [source] * len(found)
                targets += found
                if len(sources) >= _CHUNK:
                    yield _batch(_edge_columns(sources, targets, bool(names)), schema)
                    sources, targets = [], []
            if sources:
                yield _batch(_edge_columns(sources, targets, bool(names)), schema)

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
        with self._errors(), self._session() as session:
            return run_query(session, cypher, dict(parameters or {}), limit=limit, timeout=timeout)

    def counts(self) -> Counts:
        """Nodes of each label and relationships of each type, 0 where there are none."""
        types = dict.fromkeys(edge.relation for edge in self._schema.relationships)
        return Counts(
            {label: self._run(cypher_text.count_nodes(label))[0]["n"] for label in self._schema.nodes},
            {kind: self._run(cypher_text.count_relationships(kind))[0]["n"] for kind in types},
        )

    def close(self) -> None:
        """Close all connections; a second call does nothing."""
        self._closed = True
        self._driver.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _errors(self) -> AbstractContextManager[None]:
        if self._closed:
            raise StoreError(f"{self.address} is closed; open it again")
        return store_errors(self.address, self._user, self._database)

    def _session(self) -> neo4j.Session:
        return self._driver.session(database=self._database, default_access_mode=neo4j.READ_ACCESS, fetch_size=2_000)

    def _run(self, statement: LiteralString) -> list[neo4j.Record]:
        with self._errors():
            return self._driver.execute_query(statement, database_=self._database).records

    def _write(
        self, statement: LiteralString, rows: list[dict[str, Any]], missing: LiteralString | None = None
    ) -> None:
        def work(transaction: neo4j.ManagedTransaction) -> None:
            done = transaction.run(statement, {"rows": rows}).single()
            if missing is not None and (done is None or done["n"] < len(rows)):
                lacking = transaction.run(missing, {"rows": rows}).single(strict=True)["id"]
                raise StoreError(f"node {lacking!r} does not exist in {self.address}; write the nodes first")

        with self._errors(), self._driver.session(database=self._database) as session:
            session.execute_write(work)

    def _writable(self, *labels: str) -> None:
        if self.read_only:
            raise StoreError(f"{self.address} is open for reading only; open it without read_only to write")
        if not self._ready.issuperset(labels):
            held = self._held()
            self._ready = {n for n in self._schema.nodes if cypher_text.constraint_name(n) in held}
        for label in labels:
            if label not in self._ready:
                raise SchemaError(f"{self.address} has no key for {label}; call create_schema with it first")

    def _held(self) -> dict[str, int | None]:
        """Index name (a constraint's is its own) -> its vector length, None for another kind of index."""
        return {
            record["name"]: record["options"]["indexConfig"].get("vector.dimensions")
            for record in self._run(_SHOW_INDEXES)
        }

    def _node(self, label: str, columns: Sequence[str]) -> NodeKind:
        """The kind of a label; attributes that this session's schema lacks are looked up in the graph."""
        if label not in self._schema.nodes:
            raise SchemaError(f"{label!r} is no label of the graph (has {', '.join(self._schema.nodes)})")
        if not set(columns) <= set(self._schema.nodes[label].properties.names):
            found = self._run(cypher_text.attributes(label))
            types = {r["name"]: _VALUE_TYPES.get(r["type"].removesuffix(" NOT NULL")) for r in found}
            known = self._schema.nodes[label].properties.names
            added = [(name, kind) for name, kind in types.items() if kind is not None and name not in known]
            self._schema = self._schema.with_attributes(label, pa.schema(added))
        return self._schema.nodes[label]

    def _relationship(self, edge: EdgeType) -> RelationshipKind:
        if edge not in self._schema.relationships:
            raise SchemaError(f"{'-'.join(edge)} is no relationship of the graph's schema")
        return self._schema.relationships[edge]


_DROP_INDEX: LiteralString = "DROP INDEX {name} IF EXISTS"
_AWAIT_INDEXES: LiteralString = "CALL db.awaitIndexes(600)"
_SHOW_INDEXES: LiteralString = "SHOW INDEXES YIELD name, options"


def _field(kind: NodeKind | RelationshipKind, column: str) -> pa.Field:
    if column not in kind.properties.names:
        name = kind.label if isinstance(kind, NodeKind) else "-".join(kind.edge)
        raise SchemaError(f"{name}: no property {column!r} (has {', '.join(kind.properties.names)})")
    return kind.properties.field(column)


def _batches(table: pa.Table) -> Iterator[pa.Table]:
    """Parts small enough for one transaction, by rows or by vector components."""
    size = BATCH_ROWS
    if VECTOR in table.column_names:
        column = table[VECTOR].drop_null()
        longest = len(column[0]) if len(column) else 0
        size = max(1, min(size, BATCH_NUMBERS // max(1, longest)))
    for start in range(0, table.num_rows, size):
        yield table.slice(start, size)


def _nested(batch: pa.Table, columns: Sequence[str]) -> list[dict[str, Any]]:
    properties = batch.select(list(columns)).to_pylist() if columns else [{}] * batch.num_rows
    ends = batch["source"].to_pylist(), batch["target"].to_pylist()
    return [
        {"source": source, "target": target, "properties": values}
        for source, target, values in zip(*ends, properties, strict=True)
    ]


def _edge_columns(sources: list[str], targets: list[Any], has_properties: bool) -> list[Sequence[Any]]:
    return [sources, *(zip(*targets, strict=True) if has_properties else [targets])]


def _batch(columns: Sequence[Sequence[Any]], schema: pa.Schema) -> pa.RecordBatch:
    arrays = [pa.array(column, f.type) for column, f in zip(columns, schema, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
