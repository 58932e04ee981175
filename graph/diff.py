"""Which rows of a table a store does not hold yet: what makes loading twice write nothing the second time.

Both stores read what they hold, compare here with a polars join, and write only the difference. Vectors are
never compared: a media node's id is a hash of its content and `encoder` tells one vector of it from another.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from common.text import one_line
from graph.errors import SchemaError
from graph.schema import NodeKind, RelationshipKind

if TYPE_CHECKING:
    import polars as pl

VECTOR = "embedding"
"""The column that is written but never compared."""


@dataclass(frozen=True)
class Diff:
    """Incoming rows a store lacks, and those it holds with other values; both keep the incoming columns."""

    created: pa.Table
    changed: pa.Table

    @property
    def written(self) -> int:
        """Rows to write in all."""
        return self.created.num_rows + self.changed.num_rows


def node_keys() -> tuple[str, ...]:
    """The columns that identify a node."""
    return ("id",)


def relationship_keys(kind: RelationshipKind) -> tuple[str, ...]:
    """The columns that identify a relationship: source, target and the kind's discriminators."""
    return ("source", "target", *kind.discriminators)


def compared_columns(table: pa.Table) -> list[str]:
    """The columns of an incoming table to read from the store for `diff_rows`: all but the vector."""
    return [name for name in table.column_names if name != VECTOR]


def conform_nodes(table: pa.Table, kind: NodeKind) -> pa.Table:
    """The table in the kind's types, one row an id (the last given wins); else `SchemaError`."""
    return _conform(table, kind.properties, node_keys(), kind.label)


def conform_relationships(table: pa.Table, kind: RelationshipKind) -> pa.Table:
    """The table in the kind's types, one row a key (the last given wins); else `SchemaError`."""
    ends = pa.schema([("source", pa.string()), ("target", pa.string())])
    schema = pa.schema([*ends, *kind.properties])
    return _conform(table, schema, relationship_keys(kind), "-".join(kind.edge))


def diff_rows(incoming: pa.Table, existing: pa.Table, keys: Sequence[str]) -> Diff:
    """Split a conformed table into rows whose key the store lacks and rows that differ from the stored ones.

    `existing` holds at least `compared_columns(incoming)` with the same types, in any order; null equals
    null and NaN equals NaN. A column that the incoming table lacks is left as the store has it.
    """
    if not existing.num_rows or not incoming.num_rows:
        return Diff(incoming, incoming.slice(0, 0))
    import polars as pl  # here: who only reads a graph compares nothing

    columns = compared_columns(incoming)
    values = [name for name in columns if name not in keys]
    left = _frame(incoming.select(columns)).with_row_index("__row")
    right = _frame(existing.select(columns).cast(incoming.select(columns).schema))
    right = right.rename({v: f"__old_{v}" for v in values}).with_columns(__held=pl.lit(True))
    joined = left.join(right, on=list(keys), how="left")
    differs = pl.any_horizontal([pl.col(v).ne_missing(pl.col(f"__old_{v}")) for v in values] or [pl.lit(False)])
    held = pl.col("__held").is_not_null()
    created = joined.filter(~held)["__row"].sort()
    changed = joined.filter(held & differs)["__row"].unique().sort()
    return Diff(_take(incoming, created), _take(incoming, changed))


def _conform(table: pa.Table, schema: pa.Schema, keys: Sequence[str], name: str) -> pa.Table:
    unknown = [c for c in table.column_names if c not in schema.names]
    if unknown:
        raise SchemaError(f"{name}: column {unknown[0]!r} is not in the schema (has {', '.join(schema.names)})")
    for key in keys:
        if key not in table.column_names:
            raise SchemaError(f"{name}: column {key!r} is missing (has {', '.join(table.column_names)}); add it")
        if nulls := table[key].null_count:
            raise SchemaError(f"{name}: column {key!r} is null in {nulls} row(s); every row needs a value there")
    target = pa.schema([schema.field(c) for c in table.column_names])
    try:
        table = table.cast(target)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError) as error:
        raise SchemaError(f"{name}: {one_line(error)}; the columns must be {_describe(target)}") from error
    rows = _frame(table.select(list(keys))).with_row_index("__row")
    last = rows.unique(subset=list(keys), keep="last")["__row"].sort()
    return _take(table, last)


def _frame(table: pa.Table) -> "pl.DataFrame":
    import polars as pl

    return pl.DataFrame(pl.from_arrow(table))


def _take(table: pa.Table, rows: "pl.Series") -> pa.Table:
    return table if len(rows) == table.num_rows else table.take(rows.to_arrow().cast(pa.int64()))


def _describe(schema: pa.Schema) -> str:
    return ", ".join(f"{f.name} {f.type}" for f in schema)
