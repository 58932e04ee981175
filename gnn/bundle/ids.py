"""`users.parquet` and `items.parquet`: the id of each index, and what a list shows beside it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from common.text import one_line, printable
from gnn.bundle.verified import Content
from gnn.errors import BundleError

_CODECS = {"SNAPPY", "UNCOMPRESSED"}
"""What is written; none of them unpacks to much more than it is."""
_ROWS_PER_BYTE = 8
"""More rows than so many a byte hold no distinct ids."""


def write_ids(path: Path, column: str, ids: Sequence[str], titles: Sequence[str | None] | None = None) -> None:
    """Write ids by index, with titles where an item has one."""
    index = pa.array(np.arange(len(ids), dtype=np.int64))
    columns = {"index": index, column: pa.array(list(ids), pa.string())}
    if titles is not None and any(title is not None for title in titles):
        columns["title"] = pa.array(list(titles), pa.string())
    pq.write_table(pa.table(columns), path)


def read_ids(content: Content, name: str, column: str, rows: int) -> tuple[list[str], list[str | None] | None]:
    """The ids in order, and the titles where there is such a column; `name` is the file's.

    Raises `BundleError` where there are not so many rows, or before anything large is made of a small file.
    """
    try:
        source = pa.py_buffer(content)
        names = pq.read_schema(pa.BufferReader(source)).names
        if names not in (["index", column], ["index", "item_id", "title"]):
            raise BundleError(f"{name} has columns {_listed(names)}; index and {column} are needed; train again")
        file = pq.ParquetFile(pa.BufferReader(source), read_dictionary=names[1:])
        check_size(file, name, len(content), rows)
        # one thread: another may still read a damaged file when the first has given up on it, and crashes
        table = file.read(use_threads=False)
        table.validate(full=True)  # damaged pages can give offsets that lead out of memory
        titles = _texts(table["title"], name, nulls=True) if "title" in names else None
        ids = [text for text in _texts(table[column], name, nulls=False) if text is not None]
        index = table["index"]
        if index.type != pa.int64() or index.null_count or not np.array_equal(index.to_numpy(), np.arange(len(table))):
            raise BundleError(f"{name}: the column index is not 0, 1, ... in order; train again")
    except (pa.ArrowException, OSError, ValueError, KeyError, OverflowError, MemoryError) as error:
        raise BundleError(f"{name} cannot be read ({printable(one_line(error))}); train again") from error
    return ids, titles


def check_size(file: pq.ParquetFile, name: str, size: int, rows: int) -> None:
    """Raise where the file speaks of other rows, or of so much that it cannot hold it."""
    facts = file.metadata
    if facts.num_rows != rows or rows > _ROWS_PER_BYTE * size:
        raise BundleError(f"{name} has {facts.num_rows} rows in {size} bytes, the model {rows}; they must be equal")
    groups = [facts.row_group(g) for g in range(facts.num_row_groups)]
    codecs = {group.column(c).compression for group in groups for c in range(group.num_columns)}
    if not codecs <= _CODECS:
        raise BundleError(f"{name} is compressed by {_listed(sorted(codecs))}; write it with snappy or none")


def _texts(column: pa.ChunkedArray, name: str, *, nulls: bool) -> list[str | None]:
    """The texts, equal ones in memory once."""
    found: list[str | None] = []
    for chunk in column.chunks:
        if not pa.types.is_dictionary(chunk.type) or not pa.types.is_string(chunk.type.value_type):
            raise BundleError(f"{name} has a column of {one_line(str(chunk.type))}; texts are needed; train again")
        if chunk.null_count and not nulls:
            raise BundleError(f"{name}: {chunk.null_count} rows have no id; train again")
        values = [*chunk.dictionary.to_pylist(), None]
        found += [values[place] for place in chunk.indices.fill_null(len(values) - 1).to_pylist()]
    return found


def _listed(names: Sequence[str]) -> str:
    return one_line(", ".join(map(str, names[:5])))
