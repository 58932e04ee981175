"""Rows of a Neo4j result as Arrow record batches."""

from collections.abc import Iterator, Sequence
from typing import Any, LiteralString

import neo4j
import pyarrow as pa

ENDS = (("source", pa.string()), ("target", pa.string()))
"""The columns that every relationship table starts with."""

PAGE = 2_000
"""Nodes of one record; a record costs the driver 30 microseconds whatever is in it."""

PART = 4_000
"""Relationships of one record, or those of one source where it has more: few enough for a small server's heap."""

PARTS = 500
"""Parts asked for at once: as many ids as a message can hold without harm."""

_DEGREES = pa.schema([("id", pa.string()), ("degree", pa.int64())])


def node_batches(
    source: neo4j.Session | neo4j.Transaction, statement: LiteralString, schema: pa.Schema
) -> Iterator[pa.RecordBatch]:
    """The pages of a statement of `neo4j_cypher.read_nodes`, whose first column is `id`."""
    start, page = "", [[""]] * PAGE
    while len(page) == PAGE:
        page = source.run(statement, start=start, size=PAGE).single(strict=True)["page"]
        if page:
            start = page[-1][0] + "\0"  # the text right after it
            yield _batch(list(zip(*page, strict=True)), schema)


def relationship_batches(
    source: neo4j.Session | neo4j.Transaction, degrees: LiteralString, statement: LiteralString, schema: pa.Schema
) -> Iterator[pa.RecordBatch]:
    """The relationships of a kind, from the statements of `neo4j_cypher.read_degrees` and `read_relationships`."""
    import polars as pl

    batches = map(pl.DataFrame, node_batches(source, degrees, _DEGREES))
    found = pl.concat([pl.DataFrame(_DEGREES.empty_table()), *batches]).filter(pl.col("degree") > 0)
    parts = found.group_by(pl.col("degree").cum_sum() // PART, maintain_order=True).agg("id")["id"]
    for some in parts.to_frame().iter_slices(PARTS):
        for record in source.run(statement, parts=some["id"].to_list()):
            yield _batch(record.values(), schema)


def _batch(columns: Sequence[Sequence[Any]], schema: pa.Schema) -> pa.RecordBatch:
    arrays = [pa.array(column, f.type) for column, f in zip(columns, schema, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
