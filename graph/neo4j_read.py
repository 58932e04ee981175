"""Rows of a Neo4j result as Arrow record batches."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import neo4j
import pyarrow as pa

ENDS = (("source", pa.string()), ("target", pa.string()))
"""The columns that every relationship table starts with."""

_CHUNK = 65_536


def node_batches(result: neo4j.Result, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """A row a record."""
    while rows := [record.values() for record in islice(result, _CHUNK // 8)]:
        yield _batch(list(zip(*rows, strict=True)), schema)


def relationship_batches(result: neo4j.Result, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Records of a source and what was collected of its relationships: ids, or lists of an id and properties."""
    has_properties = len(schema) > len(ENDS)
    sources: list[str] = []
    targets: list[Any] = []
    for record in result:
        source, found = record.values()
        sources += [source] * len(found)
        targets += found
        if len(sources) >= _CHUNK:
            yield _batch(_columns(sources, targets, has_properties), schema)
            sources, targets = [], []
    if sources:
        yield _batch(_columns(sources, targets, has_properties), schema)


def _columns(sources: list[str], targets: list[Any], has_properties: bool) -> list[Sequence[Any]]:
    return [sources, *(zip(*targets, strict=True) if has_properties else [targets])]


def _batch(columns: Sequence[Sequence[Any]], schema: pa.Schema) -> pa.RecordBatch:
    arrays = [pa.array(column, f.type) for column, f in zip(columns, schema, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
