"""Times as people write them -> whole seconds, or the number as written; `etl.validate` finds a column's unit."""

import re
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from etl.errors import SourceError
from etl.sources.origin import place

_NUMBER = r"^[+-]?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+)?$"


def timestamps(column: pa.ChunkedArray, table: pa.Table, name: str) -> pa.ChunkedArray:
    """int64: dates as seconds (without a zone they are UTC), numbers as they are, cut to whole ones.

    Raises `SourceError` with row and value for a cell that is neither.
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if pa.types.is_null(kind):
        return pa.chunked_array([pa.nulls(len(column), pa.int64())])
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        exact = column.cast(pa.timestamp("us", getattr(kind, "tz", None)), safe=False).cast(pa.int64())
        return pc.floor(pc.divide(exact.cast(pa.float64(), safe=False), 1e6)).cast(pa.int64())
    if pa.types.is_integer(kind):
        return column.cast(pa.int64(), safe=False)
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return _whole(pl.Series(values=column.cast(pa.float64()).to_pylist(), dtype=pl.Float64), column, table, name)
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or kind == pa.string_view()):
        raise SourceError(f"{place(table, 0, name)}, column {name!r} has type {kind}; write seconds or ISO dates")
    return _parsed(column.cast(pa.string()), table, name)


def _parsed(column: pa.ChunkedArray, table: pa.Table, name: str) -> pa.ChunkedArray:
    cells = pl.Series(values=pl.from_arrow(column), dtype=pl.String).str.strip_chars().replace("", None)
    exact = cells.cast(pl.Int64, strict=False)
    left = exact.is_null() & cells.is_not_null()
    if not left.any():
        return pa.chunked_array([exact.to_arrow()])
    numbers = cells.str.contains(_NUMBER).fill_null(False)
    if (numbers | cells.is_null()).all():
        whole = _whole(cells.cast(pl.Float64, strict=False), column, table, name)
        return pa.chunked_array([exact.fill_null(pl.Series(values=whole.to_pylist(), dtype=pl.Int64)).to_arrow()])
    written = cells.filter(left).unique(maintain_order=True).to_list()
    known = {text: _seconds(text) for text in written}
    dates = cells.replace_strict(list(known), list(known.values()), default=None, return_dtype=pl.Int64)
    result = exact.fill_null(dates)
    wrong = cells.is_not_null() & result.is_null()
    if wrong.any():
        row = int(wrong.arg_max() or 0)
        raise _refused(table, row, name, str(column[row]))
    return pa.chunked_array([result.to_arrow()])


def _whole(numbers: pl.Series, column: pa.ChunkedArray, table: pa.Table, name: str) -> pa.ChunkedArray:
    values = numbers.to_numpy()
    bad = np.flatnonzero((np.isinf(values) | (np.abs(values) >= 2**63)) & ~np.isnan(values))
    if len(bad):
        raise _refused(table, int(bad[0]), name, str(column[int(bad[0])]))
    return pa.chunked_array([pa.array(np.floor(values), pa.float64(), from_pandas=True).cast(pa.int64())])


def _seconds(text: str) -> int | None:
    try:
        date = datetime.fromisoformat(re.sub(r"\s*(UTC|Z)$", "+00:00", re.sub(r"\s+(?=[+-]\d)", "", text)))
    except ValueError:
        return None
    return int((date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() // 1)


def _refused(table: pa.Table, row: int, name: str, value: str) -> SourceError:
    return SourceError(
        f"{place(table, row, 'table')}, column {name!r}: {value!r} is not a whole number of seconds, milliseconds or "
        "microseconds, nor an ISO date (2023-11-24 02:59:32, 2023-11-24T02:59:32Z)"
    )
