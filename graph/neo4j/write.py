"""How rows reach a Neo4j server: in batches of bounded size, several at once where none shares a node."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, LiteralString

import neo4j
import pyarrow as pa

from graph.diff import VECTOR
from graph.errors import StoreError
from graph.neo4j import statements
from graph.neo4j.connection import Connection
from graph.schema import NodeKind, RelationshipKind, stored_name

BATCH_ROWS = 10_000
"""Rows sent in one transaction where they are small."""

BATCH_BYTES = 4 * 2**20
"""Arrow bytes sent in one transaction, so that long texts do not pile up in the server's heap."""

BATCH_NUMBERS = 76_800
"""Vector components sent in one transaction: 200 rows of 384; larger batches are slower, not faster."""

LIST_ROWS = 400
"""Rows of one transaction that replaces lists: the server has no snapshots, so a reader can see a commit under way,
for a time that grows with it."""

WORKERS = 2
"""Transactions under way at once."""

PARTS = 4
"""Shares into which nodes are cut, so that transactions under way at once share none; a power of two."""

Rows = list[dict[str, Any]]


def write_nodes(connection: Connection, kind: NodeKind, table: pa.Table) -> None:
    """Insert or update nodes by `id`."""
    statement = statements.write_nodes(kind, vectors=VECTOR in table.column_names)

    def send(part: pa.Table) -> None:
        rows = part.to_pylist()
        connection.transact(lambda transaction: transaction.run(statement, {"rows": rows}).consume())

    _together(send, batches(table))


def delete_nodes(connection: Connection, label: str, ids: Sequence[str]) -> int:
    """Delete nodes with their relationships; returns how many there were."""
    statement, size = statements.delete_nodes(label), BATCH_ROWS // 10

    def send(some: list[str]) -> int:
        return connection.transact(lambda transaction: _number(transaction, statement, some))

    return sum(send(list(ids[start : start + size])) for start in range(0, len(ids), size))


def write_relationships(connection: Connection, kind: RelationshipKind, table: pa.Table) -> None:
    """Insert or update relationships by their key; `StoreError` names the node where an end is missing."""

    def send(block: pa.Table) -> None:
        for part in batches(block):
            connection.transact(partial(_merge, address=connection.address, kind=kind, rows=_nested(part)))

    for blocks in _rounds(table, one_label=kind.edge.source == kind.edge.target):
        _together(send, blocks)


def replace_relationships(connection: Connection, kind: RelationshipKind, table: pa.Table, stale: pa.Table) -> int:
    """Delete relationships by key and write others, each source's in one transaction; returns how many went."""
    statement, deleted = statements.delete_relationships(kind), 0
    import polars as pl

    rows, gone = pl.DataFrame(pl.from_arrow(table)), pl.DataFrame(pl.from_arrow(stale))
    sizes = pl.concat([rows["source"], gone["source"]]).value_counts().sort("source")
    groups = sizes.with_columns(group=(pl.col("count").cum_sum() - 1) // LIST_ROWS)
    for sources in groups.partition_by("group", maintain_order=True):
        old, new = (_nested(frame.join(sources, on="source", how="semi").to_arrow()) for frame in (gone, rows))

        def work(transaction: neo4j.Transaction, old: Rows = old, new: Rows = new) -> int:
            number = _number(transaction, statement, old) if old else 0
            if new:
                _merge(transaction, connection.address, kind, new)
            return number

        deleted += connection.transact(work)
    return deleted


def batches(table: pa.Table) -> Iterator[pa.Table]:
    """Parts small enough for one transaction, by rows, bytes and vector components."""
    bytes_per_row = table.nbytes // max(1, table.num_rows)
    size = min(BATCH_ROWS, BATCH_BYTES // max(1, bytes_per_row))
    if VECTOR in table.column_names:
        column = table[VECTOR].drop_null()
        size = min(size, BATCH_NUMBERS // max(1, len(column[0]) if len(column) else 0))
    size = max(1, size)
    for start in range(0, table.num_rows, size):
        yield table.slice(start, size)


def _together(send: Callable[[pa.Table], None], tables: Iterable[pa.Table]) -> None:
    """Send tables side by side; the first error ends it."""
    with ThreadPoolExecutor(WORKERS) as pool:
        try:
            list(pool.map(send, tables))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _rounds(table: pa.Table, *, one_label: bool) -> Iterator[list[pa.Table]]:
    """Blocks of rows, round after round; no two blocks of a round share a node, so that none waits for another.

    Nodes are cut into shares by hash; the rows between the shares i and j come in round `i xor j`.
    """
    if table.num_rows <= BATCH_ROWS:
        yield [table]
        return
    import polars as pl

    frame = pl.DataFrame(pl.from_arrow(table))
    i, j = (pl.col(end).hash(0) % PARTS for end in ("source", "target"))
    block = pl.min_horizontal(i, j) if one_label else i
    keys = frame.select(round=i.xor(j), block=block).with_row_index("row")
    for _, part in keys.sort("round", "block", "row").group_by("round", maintain_order=True):
        yield [table.take(b["row"].to_arrow()) for _, b in part.group_by("block", maintain_order=True)]


def _merge(transaction: neo4j.Transaction, address: str, kind: RelationshipKind, rows: Rows) -> None:
    if _number(transaction, statements.write_relationships(kind), rows) < len(rows):
        lacking = transaction.run(statements.missing_end(kind), {"rows": rows}).single(strict=True)["id"]
        raise StoreError(f"node {lacking!r} does not exist in {address}; write the nodes first")


def _number(transaction: neo4j.Transaction, statement: LiteralString, rows: Rows | list[str]) -> int:
    """Run a statement that returns one number `n`."""
    return int(transaction.run(statement, {"rows": rows}).single(strict=True)["n"])


def _nested(table: pa.Table) -> Rows:
    columns = [name for name in table.column_names if name not in ("source", "target")]
    named = table.select(columns).rename_columns(list(map(stored_name, columns)))
    properties = named.to_pylist() if columns else [{}] * table.num_rows
    ends = table["source"].to_pylist(), table["target"].to_pylist()
    return [
        {"source": source, "target": target, "properties": values}
        for source, target, values in zip(*ends, properties, strict=True)
    ]
