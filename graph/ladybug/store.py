"""The embedded store: one ladybug database file in a folder, no server. One process writes at a time."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, LiteralString, Self

import ladybug
import pyarrow as pa

from graph.diff import (
    compared_columns,
    conform_nodes,
    conform_relationships,
    diff_rows,
    node_keys,
    relationship_keys,
)
from graph.errors import QueryRefused, SchemaError, StoreError, StoreMissing
from graph.ladybug import statements
from graph.ladybug.catalog import Catalog
from graph.ladybug.errors import open_error, run_error
from graph.ladybug.opening import open_database
from graph.ladybug.unknown import Absent, absent_property, clear_error, unknown_property_note, with_null
from graph.names import quoted
from graph.readonly.guard import MAX_RESULT_BYTES, check_read_only
from graph.schema import EdgeType, GraphSchema, NodeKind, RelationshipKind, stored_name
from graph.store import Counts, StoreOptions, Vocabulary

FILE_NAME = "graph.lbug"
"""The database's file in the store's folder."""

_CHUNK = 65_536
_MOST_ROWS = 1_000_000
_LIMIT = "row_limit__"
_TABLES: LiteralString = "CALL show_tables() RETURN name"
_COLUMNS: LiteralString = "CALL table_info('{label}') RETURN name"
_writing: set[Path] = set()


class LadybugStore:
    """A `GraphStore` in `folder / FILE_NAME`; a `folder` that is a database file itself is opened as it is.

    The database's own lock keeps other processes out while one writes. Raises `StoreError` where the file is
    locked, damaged, or missing under `read_only`. `max_db_size` (bytes) is how large the database may grow: the
    address space it reserves, 8 TB or what there is by default.
    """

    def __init__(self, folder: str | Path, *, read_only: bool = False, max_db_size: int | None = None) -> None:
        self.address = f"ladybug:{folder}"
        self.read_only = read_only
        self.notes: list[str] = []
        self._max_db_size = max_db_size
        path = Path(folder)
        self._path = (path if path.is_file() else path / FILE_NAME).absolute()
        self._database = self._open()
        self._written = self._state()
        self._connection: Any = ladybug.Connection(self._database)
        self._catalog = Catalog(self._run)

    def create_schema(self, schema: GraphSchema) -> None:
        """Make every table exist and add the columns and label pairs that an older one lacks.

        A column of whole numbers becomes decimal where the schema says so. Raises `SchemaError` where a property exists
        with another type.
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
        columns = compared_columns(rows)
        schema = pa.schema([kind.properties.field(c) for c in columns])
        diff = diff_rows(rows, pa.Table.from_batches(self.read_nodes(label, columns), schema), node_keys())
        copy, update = (make(label, rows.column_names) for make in (statements.copy_nodes, statements.update_nodes))
        self._write(f"{label} nodes", (copy, diff.created), (update, diff.changed))
        return diff.written

    def write_relationships(self, edge: EdgeType, table: pa.Table) -> int:
        """Insert or update relationships in one transaction; returns how many were created or changed.

        Raises `StoreError` that names the node where an end does not exist.
        """
        return self._replace(EdgeType(*edge), table, None)

    def replace_relationships(self, edge: EdgeType, table: pa.Table, stale: pa.Table) -> int:
        """Write relationships and delete others by key, all in one transaction; returns how many changed or went."""
        return self._replace(EdgeType(*edge), table, stale)

    def delete_nodes(self, label: str, ids: Sequence[str]) -> int:
        """Delete nodes by `id`, with their relationships; returns how many there were."""
        self._writable(label)
        gone = pa.table({"id": pa.array(ids, pa.string())})
        return self._write(f"{label} nodes", (statements.delete_nodes(label), gone))

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

        Raises `QueryRefused` for anything but reading and for a result over 64 MiB, `StoreError` for a mistake in
        the query or its time.
        """
        check_read_only(cypher, "ladybug")
        self._alive()
        values = {**(parameters or {})}
        if statements.is_unlimited(cypher):
            cypher, values = f"{cypher.rstrip().rstrip(';')}\nLIMIT ${_LIMIT}", {**values, _LIMIT: limit}
        connection = ladybug.Connection(self._database)
        try:
            connection.set_query_timeout(max(1, int(timeout * 1000)))
            table = self._answer(connection, cypher, values, max(limit, _MOST_ROWS), timeout)
        finally:
            connection.close()
        table = table.slice(0, limit)
        if table.nbytes > MAX_RESULT_BYTES:
            raise QueryRefused(f"the result passes {MAX_RESULT_BYTES:,} bytes; return less")
        return _plain(table)

    def attributes(self, label: str) -> pa.Schema:
        """The properties that nodes of a label hold beside the graph schema's own, with their types."""
        return self._catalog.attributes(self._catalog.node(label).label)

    def counts(self) -> Counts:
        """Nodes of each label and relationships of each type, 0 where there are none."""
        schema = GraphSchema()
        nodes = {label: self._count(f"MATCH (x:{quoted(label)})", label) for label in schema.nodes}
        types = dict.fromkeys(edge.relation for edge in schema.relationships)
        return Counts(nodes, {t: self._count(f"MATCH ()-[x:{quoted(t)}]->()", t) for t in types})

    def names(self) -> Vocabulary:
        """The attributes of users and items; labels and types are the schema's own here."""
        held = set(self._run(_TABLES)["name"].to_pylist()) & {"User", "Item"}
        columns = [name for label in held for name in self._run(_COLUMNS.format(label=label))["name"].to_pylist()]
        return Vocabulary(properties=tuple(sorted(set(columns))))

    def index_states(self) -> dict[str, str]:
        """None to look after: keys are the tables' own."""
        return {}

    def nearest(self, label: str, vector: Sequence[float], count: int) -> pa.Table | None:
        """None: there is no vector index, every vector is compared."""
        return None

    def is_outdated(self) -> bool:
        """Whether another process has written the file: what was read of it is kept in memory."""
        return self.read_only and self._state() != self._written

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
            raise StoreMissing(f"{self.address} does not exist; build the graph first, or give another path")
        # The database's lock belongs to the process, so a second writer inside it has to be refused here.
        if not self.read_only and self._path in _writing:
            raise StoreError(f"{self.address} is already open for writing in this process; close it first")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            database = open_database(self._path, read_only=self.read_only, max_db_size=self._max_db_size)
        except (RuntimeError, OSError) as error:
            raise open_error(self.address, error) from error
        if not self.read_only:
            _writing.add(self._path)
        return database

    def _state(self) -> tuple[int, int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_ino, found.st_size, found.st_mtime_ns

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
        most: int | None = None,
    ) -> pa.Table:
        self._alive()
        connection = connection or self._connection
        given = dict(values or {})
        try:
            # Not execute(text): its statement cache keeps pointers to Arrow tables that are gone by then.
            statement = ladybug.PreparedStatement(connection, cypher, given)
            result = connection.execute(statement, given)
            if most is not None and result.get_num_tuples() > most:  # turning them into Arrow knows no time limit
                raise QueryRefused(f"the result has {result.get_num_tuples():,} rows; add a LIMIT to each part")
            return result.get_as_arrow(_CHUNK)
        except RuntimeError as error:
            raise run_error(self.address, error, timeout) from error

    def _answer(self, connection: Any, cypher: str, values: dict[str, Any], most: int, timeout: float) -> pa.Table:
        """The rows, at most `most` (a UNION takes no limit at its end); an unknown property is null and noted."""
        absent: dict[str, Absent] = {}
        while True:
            self._run("BEGIN TRANSACTION READ ONLY", connection=connection)
            try:
                given = {**values, **dict.fromkeys(absent)}
                table = self._run(cypher, given, connection=connection, timeout=timeout, most=most)
            except StoreError as error:
                parameter, found = f"absent_{len(absent)}__", absent_property(error)
                changed = with_null(cypher, found, parameter) if found else cypher
                if found is None or changed == cypher:
                    raise clear_error(error, next(iter(absent.values()), found), self._catalog) from error
                cypher, absent[parameter] = changed, found
                with suppress(StoreError):  # the engine has rolled back by itself
                    self._run("ROLLBACK", connection=connection)
                continue
            for name in dict.fromkeys(property.name for property in absent.values()):
                self.notes.append(unknown_property_note(name, self._catalog))
            names = table.column_names
            for parameter, found in absent.items():
                names = [name.replace(f"${parameter}", str(found)) for name in names]
            return table.rename_columns(names)

    def _read(self, cypher: str, schema: pa.Schema, name: str | EdgeType) -> Iterator[pa.RecordBatch]:
        if name in self._catalog:
            yield from self._run(cypher).cast(schema).to_batches()

    def _value(self, kind: NodeKind | RelationshipKind, column: str) -> str:
        if not self._catalog.stores(kind, column):
            return "NULL"
        return f"x.{quoted(stored_name(column) if isinstance(kind, RelationshipKind) else column)}"

    def _count(self, pattern: str, name: str) -> int:
        return int(self._run(f"{pattern} RETURN count(*) AS n")["n"][0].as_py()) if name in self._catalog else 0

    def _replace(self, edge: EdgeType, table: pa.Table, stale: pa.Table | None) -> int:
        self._writable(edge)
        kind = self._catalog.relationship(edge)
        ends = pa.schema([("source", pa.string()), ("target", pa.string())])
        rows = conform_relationships(table, kind)
        properties = [c for c in rows.column_names if c not in ends.names]
        rows = rows.select([*ends.names, *properties])
        schema = pa.schema([*ends, *(kind.properties.field(c) for c in properties)])
        held = self.read_relationships(edge, properties) if rows.num_rows else ()
        diff = diff_rows(rows, pa.Table.from_batches(held, schema), relationship_keys(kind))
        steps = [
            (statements.copy_relationships(edge, properties), diff.created),
            (statements.update_relationships(kind, rows.column_names), diff.changed),
        ]
        if stale is not None:
            gone = conform_relationships(stale, kind).select(list(relationship_keys(kind)))
            steps.insert(0, (statements.delete_relationships(kind), gone))
        return diff.written + self._write("-".join(edge), *steps)

    def _write(self, what: str, *steps: tuple[str, pa.Table]) -> int:
        """Run statements over tables in one transaction; the sum of what they return, where they return a number."""
        wanted = [(statement, rows) for statement, rows in steps if rows.num_rows]
        deleted = 0
        if wanted:
            with self._transaction(what):
                for statement, rows in wanted:
                    done = self._run(statement, {"rows": rows})
                    deleted += done["n"][0].as_py() if "n" in done.column_names else 0
        return deleted

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


def open_address(address: str, options: StoreOptions) -> LadybugStore:
    """The store of `ladybug:PATH`; it knows no credentials and no databases."""
    path = address.removeprefix("ladybug:")
    if not path:
        raise StoreError(f"store {address!r} names no folder; use ladybug:PATH, or bolt://HOST:PORT")
    return LadybugStore(path, read_only=options.read_only, max_db_size=options.max_db_size)


def _plain(table: pa.Table) -> pa.Table:
    """Sums of whole numbers come as 128-bit decimals; every other store and reader has 64-bit ones."""
    for place, column in enumerate(table.schema):
        if pa.types.is_decimal(column.type) and column.type.scale == 0:
            table = table.set_column(place, column.name, table[column.name].cast(pa.int64()))
    return table
