"""`attributes.parquet`: what is known of each item beside its title, for jobs that choose items by it."""

from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from common.text import one_line
from gnn.bundle.ids import check_size
from gnn.bundle.manifest import read_manifest
from gnn.bundle.verified import verified_files
from gnn.errors import BundleError

ATTRIBUTES = "attributes.parquet"
_TYPES = (pa.string(), pa.int64(), pa.float64(), pa.bool_())
_MOST_TEXT = 4 << 30
"""Bytes of one column's texts: a dictionary can say much of little."""


def write_attributes(path: Path, table: pa.Table) -> None:
    """Write a row for each item by index. Columns are text, int64, float64 or bool, as a store's attributes are."""
    pq.write_table(table, path)


def read_attributes(bundle: Path, items: int) -> pl.DataFrame:
    """The attributes of as many items, in their order, after every file was checked against its hash.

    Without columns where the bundle holds none. Raises `BundleError` for a file that was altered or does not fit.
    """
    manifest, _ = read_manifest(bundle)
    content = verified_files(bundle, manifest["files"], (ATTRIBUTES,)).get(ATTRIBUTES)
    if content is None:
        return pl.DataFrame(height=items)
    try:
        source = pa.py_buffer(content)
        schema = pq.read_schema(pa.BufferReader(source))
        for column in schema:
            if column.type not in _TYPES:
                raise BundleError(f"{ATTRIBUTES}: column {one_line(column.name)!r} is {one_line(str(column.type))}")
        texts = [column.name for column in schema if pa.types.is_string(column.type)]
        file = pq.ParquetFile(pa.BufferReader(source), read_dictionary=texts)
        check_size(file, ATTRIBUTES, len(content), items)
        table = file.read(use_threads=False)
        table.validate(full=True)
        columns = {name: _whole(name, table[name]) if name in texts else table[name] for name in schema.names}
        return pl.DataFrame({name: pl.Series(name, pl.from_arrow(column)) for name, column in columns.items()})
    except BundleError as error:
        raise BundleError(f"{bundle}: {error}; train again") from error
    except (pa.ArrowException, pl.exceptions.PolarsError, OSError, ValueError, KeyError) as error:
        raise BundleError(f"{bundle}: {ATTRIBUTES} cannot be read ({one_line(error)}); train again") from error


def _whole(name: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The texts that a dictionary stands for."""
    size = sum(pc.sum(pc.binary_length(c.dictionary).take(c.indices)).as_py() or 0 for c in column.chunks)
    if size > _MOST_TEXT:
        raise BundleError(f"{ATTRIBUTES}: column {one_line(name)!r} unpacks to {size} bytes")
    return column.cast(pa.string())
