"""Which file and line each row of a table came from; it travels in the table's metadata, so that messages name both.

Lines count as an editor shows them: a header is line 1, and a row starts where its first cell does.
"""

import json
from collections.abc import Sequence

import numpy as np
import polars as pl
import pyarrow as pa

Segment = tuple[int, str, int]
"""From this row of the table on (the first is 0), rows are the lines of this file from this line on."""


def named(table: pa.Table, label: str, segments: Sequence[Segment] | None = None) -> pa.Table:
    """The table as read from one file, or from `segments` of several; without them rows count from 1."""
    metadata = {b"file": label.encode()}
    if segments is not None:
        metadata[b"rows"] = json.dumps(segments).encode()
    return table.replace_schema_metadata(metadata)


def like(table: pa.Table, origin: pa.Table) -> pa.Table:
    """The table with the origin of another one of the same rows."""
    return table.replace_schema_metadata(origin.schema.metadata)


def taken(table: pa.Table, origin: pa.Table, rows: Sequence[int]) -> pa.Table:
    """The table, whose rows are made from these rows of another one, each with that one's file and line."""
    files, lines = places(origin, "table")
    segments: list[Segment] = []
    for row, (file, line) in enumerate(zip(files.gather(list(rows)), lines.gather(list(rows)), strict=True)):
        if not segments or segments[-1][1] != file or segments[-1][2] + row - segments[-1][0] != line:
            segments.append((row, file, line))
    return named(table, label_of(origin, "table"), segments or None)


def settled(table: pa.Table) -> pa.Table:
    """The table after rows went: it keeps its file's name, its rows no longer tell their lines."""
    return named(table, label_of(table, "")) if b"file" in (table.schema.metadata or {}) else table


def together(tables: Sequence[pa.Table], label: str) -> pa.Table:
    """Tables one below the other, each row with its own file; absent columns are null."""
    segments, before = [], 0
    for table in tables:
        segments += [(row + before, file, line) for row, file, line in _segments(table, label)]
        before += len(table)
    joined = pa.concat_tables([table.replace_schema_metadata() for table in tables], promote_options="permissive")
    return named(joined, label, segments)


def label_of(table: pa.Table, default: str) -> str:
    """The file a table was read from, or `default`."""
    return (table.schema.metadata or {}).get(b"file", default.encode()).decode()


def places(table: pa.Table, default: str) -> tuple[pl.Series, pl.Series]:
    """The file (text) and the line (whole number) of every row."""
    segments = _segments(table, default)
    rows = np.arange(len(table))
    at = np.searchsorted([start for start, _, _ in segments], rows, side="right") - 1
    lines = rows + np.array([line - start for start, _, line in segments], np.int64)[at]
    files = pl.Series([file for _, file, _ in segments], dtype=pl.String)
    return files.gather(at), pl.Series(lines, dtype=pl.Int64)


def place(table: pa.Table, row: int, default: str) -> str:
    """One row as messages name it: `items.csv: row 7`."""
    start, file, line = next(s for s in reversed(_segments(table, default)) if s[0] <= row)
    return f"{file}: row {line + row - start}"


def _segments(table: pa.Table, default: str) -> list[Segment]:
    kept = (table.schema.metadata or {}).get(b"rows")
    return [(row, file, line) for row, file, line in json.loads(kept)] if kept else [(0, label_of(table, default), 1)]
