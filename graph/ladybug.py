"""The embedded store: one ladybug database file in a folder, no server. One process writes at a time."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import ladybug
import pyarrow as pa

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
from graph.ladybug_catalog import Catalog, quoted
from graph.ladybug_errors import open_error, run_error
from graph.readonly import check_read_only, tokenise
from graph.schema import EdgeType, GraphSchema, NodeKind, RelationshipKind
from graph.store import Counts

FILE_NAME = "graph.lbug"
"""The database's file in the store's folder."""

_CHUNK = 65_536
_LIMIT = "row_limit__"
_writing: set[Path] = set()


class LadybugStore:
    """A `GraphStore` in `folder / FILE_NAME`; a `folder` that is a database file itself is opened as it is.

    The database's own lock keeps other processes out while one writes. Raises `StoreError` where the file is
    locked, damaged, or missing under `read_only`.
    """

    def __init__(self, folder: str | Path, *, read_only: bool = False) -> None:
        self.address = f"ladybug:{folder}"
        self.read_only = read_only
        path = Path(folder)
        self._path = (path if path.is_file() else path / FILE_NAME).absolute()
        self._database = self._open()
        self._connection: Any = ladybug.Connection(self._database)
        self._catalog = Catalog(self._run)

    def create_schema(self, schema: GraphSchema) -> None:
        """Make every table exist and add the columns and label pairs that an older one lacks.

        Raises `SchemaError` where a property exists with another type.
        """
        self._writable()
        for statement in self._catalog.missing(schema):
            self._run(statement)
        self._catalog.refresh()

    def write_nodes(self, label: str, table: pa.Table) -> int:
        """Insert or update nodes by `id` in one transaction; returns how many were created or changed."""
        self._writable(label)
        kind = self._catalog.node(label)
        rows = conform_nodes(table, kind)
        held = pa.Table.from_batches(
            self.read_nodes(label, compared_columns(rows)),
            pa.schema([kind.properties.field(c) for c in compared_columns(rows)]),
        )
        diff = diff_rows(rows, held, node_keys())
        columns = ", ".join(quoted(c) for c in rows.column_names)
        self._write(
            diff,
            f"COPY {quoted(label)}({columns}) FROM $rows",
            _update(rows.column_names, node_keys(), f"MATCH (x:{quoted(label)} {{id: `key_id`}})"),
            f"{label} nodes",
        )
        return diff.written

    def write_relationships(self, edge: EdgeType, table: pa.Table) -> int:
        """Insert or update relationships in one transaction; returns how many were created or changed.

        Raises `StoreError` that names the node where an end does not exist.
        """
        edge = EdgeType(*edge)
        self._writable(edge)
        kind = self._catalog.relationship(edge)
        ends = pa.schema([("source", pa.string()), ("target", pa.string())])
        rows = conform_relationships(table, kind)
        rows = rows.select(["source", "target", *(c for c in rows.column_names if c not in ends.names)])
        held = pa.Table.from_batches(
            self.read_relationships(edge, rows.column_names[2:]),
            pa.schema([*ends, *(kind.properties.field(c) for c in rows.column_names[2:])]),
        )
        diff = diff_rows(rows, held, relationship_keys(kind))
        columns = f"({', '.join(quoted(c) for c in rows.column_names[2:])})" if rows.num_columns > 2 else ""
        self._write(
            diff,
            f"COPY {quoted(edge.relation)}{columns} FROM $rows (from='{edge.source}', to='{edge.target}')",
            _update(rows.column_names, relationship_keys(kind), _match_relationship(kind)),
            "-".join(edge),
        )
        return diff.written

    def read_nodes(self, label: str, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """`id` and the named properties; a property that this store's schema lacks is null."""
        kind = self._catalog.node(label, columns)
        names = list(dict.fromkeys(["id", *columns]))
        returned = ", ".join(f"{self._value(kind, c)} AS {quoted(c)}" for c in names)
        schema = pa.schema([kind.properties.field(c) for c in names])
        yield from self._read(f"MATCH (x:{quoted(label)}) RETURN {returned}", schema, label)

    def read_relationships(self, edge: EdgeType, columns: Sequence[str] = ()) -> Iterator[pa.RecordBatch]:
        """`source`, `target` and the named properties; a property that this store's schema lacks is null."""
        kind = self._catalog.relationship(edge, columns)
        names = [c for c in dict.fromkeys(columns) if c not in ("source", "target")]
        returned = "".join(f", {self._value(kind, c)} AS {quoted(c)}" for c in names)
        pattern = f"(a:{quoted(edge.source)})-[x:{quoted(edge.relation)}]->(b:{quoted(edge.target)})"
        ends = pa.schema([("source", pa.string()), ("target", pa.string())])
        schema = pa.schema([*ends, *(kind.properties.field(c) for c in names)])
        cypher = f"MATCH {pattern} RETURN a.id AS source, b.id AS target{returned}"
        yield from self._read(cypher, schema, edge)

    def query(
        self,
        cypher: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        limit: int = 10_000,
        timeout: float = 30.0,
    ) -> pa.Table:
        """Run one read-only query in a read-only transaction; at most `limit` rows, `timeout` seconds.

        Raises `QueryRefused` for anything but reading, `StoreError` for a mistake in the query or its time.
        """
        check_read_only(cypher, "ladybug")
        self._alive()
        values = {**(parameters or {})}
        if _is_unlimited(cypher):
            cypher, values = f"{cypher.rstrip().rstrip(';')}\nLIMIT ${_LIMIT}", {**values, _LIMIT: limit}
        connection = ladybug.Connection(self._database)
        try:
            connection.set_query_timeout(max(1, int(timeout * 1000)))
            self._run("BEGIN TRANSACTION READ ONLY", connection=connection)
            table = self._run(cypher, values, connection=connection, timeout=timeout)
        finally:
            connection.close()
        return _plain(table.slice(0, limit))

    def counts(self) -> Counts:
        """Nodes of each label and relationships of each type, 0 where there are none."""
        schema = GraphSchema()
        nodes = {label: self._count(f"MATCH (x:{quoted(label)})", label) for label in schema.nodes}
        types = dict.fromkeys(edge.relation for edge in schema.relationships)
        return Counts(nodes, {t: self._count(f"MATCH ()-[x:{quoted(t)}]->()", t) for t in types})

    def close(self) -> None:
        """Close the database; a second call does nothing."""
        if self._connection is not None:
            self._connection.close()
            self._database.close()
            self._connection = self._database = None
            if not self.read_only:
                _writing.discard(self._path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open(self) -> Any:
        if self.read_only and not self._path.is_file():
            raise StoreError(f"{self.address} does not exist; build the graph first, or give another path")
        # The database's lock belongs to the process, so a second writer inside it has to be refused here.
        if not self.read_only and self._path in _writing:
            raise StoreError(f"{self.address} is already open for writing in this process; close it first")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            database = ladybug.Database(self._path, read_only=self.read_only)
        except (RuntimeError, OSError) as error:
            raise open_error(self.address, error) from error
        if not self.read_only:
            _writing.add(self._path)
        return database

    def _alive(self) -> None:
        if self._connection is None:
            raise StoreError(f"{self.address} is closed; open it again")

    def _writable(self, name: str | EdgeType | None = None) -> None:
        if self.read_only:
            raise StoreError(f"{self.address} is open for reading only; open it without read_only to write")
        if name is not None and name not in self._catalog:
            shown = "-".join(name) if isinstance(name, EdgeType) else name
            raise SchemaError(f"{self.address} has no table for {shown}; call create_schema with it first")

    def _run(
        self,
        cypher: str,
        values: Mapping[str, Any] | None = None,
        *,
        connection: Any = None,
        timeout: float | None = None,
    ) -> pa.Table:
        self._alive()
        connection = connection or self._connection
        given = dict(values or {})
        try:
            # Not execute(text): its statement cache keeps pointers to Arrow tables that are gone by then.
            statement = ladybug.PreparedStatement(connection, cypher, given)
            return connection.execute(statement, given).get_as_arrow(_CHUNK)
        except RuntimeError as error:
            raise run_error(self.address, error, timeout) from error

    def _read(self, cypher: str, schema: pa.Schema, name: str | EdgeType) -> Iterator[pa.RecordBatch]:
        if name in self._catalog:
            yield from self._run(cypher).cast(schema).to_batches()

    def _value(self, kind: NodeKind | RelationshipKind, column: str) -> str:
        return f"x.{quoted(column)}" if self._catalog.stores(kind, column) else "NULL"

    def _count(self, pattern: str, name: str) -> int:
        return int(self._run(f"{pattern} RETURN count(*) AS n")["n"][0].as_py()) if name in self._catalog else 0

    def _write(self, diff: Diff, copy: str, update: str, what: str) -> None:
        if not diff.written:
            return
        with self._transaction(what):
            if diff.created.num_rows:
                self._run(copy, {"rows": diff.created})
            if diff.changed.num_rows:
                self._run(update, {"rows": diff.changed})

    @contextmanager
    def _transaction(self, what: str) -> Iterator[None]:
        self._run("BEGIN TRANSACTION")
        try:
            yield
            self._run("COMMIT")
        except StoreError as error:
            # The engine has rolled back by itself after most errors; then there is nothing left to roll back.
            with suppress(StoreError):
                self._run("ROLLBACK")
            raise StoreError(f"writing {what} failed: {error}") from error


def _update(columns: Sequence[str], keys: Sequence[str], match: str) -> str:
    """Changes the rows of `$rows` in place; scanning Arrow is 25 times faster than UNWIND for vectors."""
    values = [c for c in columns if c not in keys]
    names = [f"{quoted(c)} AS {quoted(f'key_{c}')}" for c in keys]
    names += [f"{quoted(c)} AS {quoted(f'new_{c}')}" for c in values]
    changes = ", ".join(f"x.{quoted(c)} = {quoted(f'new_{c}')}" for c in values)
    return f"LOAD FROM $rows WITH {', '.join(names)} {match} SET {changes}"


def _match_relationship(kind: RelationshipKind) -> str:
    edge = kind.edge
    ends = f"(a:{quoted(edge.source)} {{id: key_source}})", f"(b:{quoted(edge.target)} {{id: key_target}})"
    same = " AND ".join(f"x.{quoted(d)} = {quoted(f'key_{d}')}" for d in kind.discriminators)
    return f"MATCH {ends[0]}-[x:{quoted(edge.relation)}]->{ends[1]}" + (f" WHERE {same}" if same else "")


def _is_unlimited(cypher: str) -> bool:
    """Whether a limit may be put at the end: the last RETURN has none, and no UNION would share it."""
    words = [token.text for token in tokenise(cypher) if token.kind == "word"]
    if "RETURN" not in words or "UNION" in words:
        return False
    return "LIMIT" not in words[len(words) - words[::-1].index("RETURN") :]


def _plain(table: pa.Table) -> pa.Table:
    """Sums of whole numbers come as 128-bit decimals; every other store and reader has 64-bit ones."""
    for place, column in enumerate(table.schema):
        if pa.types.is_decimal(column.type) and column.type.scale == 0:
            table = table.set_column(place, column.name, table[column.name].cast(pa.int64()))
    return table
