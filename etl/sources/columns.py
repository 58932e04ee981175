"""Giving a source's columns the names and types of `etl.tables`. Rows count from 1 below the header line."""

import re
from collections.abc import Collection, Mapping

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from etl.errors import SourceError
from etl.sources.files import label_of, named

_WHOLE = r"^-?(0|[1-9][0-9]{0,17})$"
_NUMBER = r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?$"
_BOOLEAN = r"^(?i:true|false)$"
_MEANING = {
    "timestamp": "a whole number of seconds",
    "weight": "a number",
    "score": "a number",
}


def rename(table: pa.Table, columns: Mapping[str, str]) -> pa.Table:
    """Apply `source.columns` (our name -> the file's name) to the columns that the file has."""
    label = label_of(table, "table")
    own = {theirs: ours for ours, theirs in columns.items() if theirs in table.column_names}
    for theirs, ours in own.items():
        if ours in table.column_names and ours != theirs:
            raise SourceError(f"{label}: has both {ours!r} and {theirs!r}; drop one of them")
    return named(table.rename_columns([own.get(name, name) for name in table.column_names]), label)


def conform(table: pa.Table, schema: pa.Schema, required: Collection[str]) -> pa.Table:
    """Exactly the columns of `schema` with its types; absent optional ones are null."""
    label = label_of(table, "table")
    for name in required:
        if name not in table.column_names:
            has = ", ".join(table.column_names)
            raise SourceError(
                f"{label}: column {name!r} is missing (has {has}); rename it or set source.columns.{name}"
            )
    columns = [
        cast(table[field.name], field.type, label, field.name)
        if field.name in table.column_names
        else pa.nulls(len(table), field.type)
        for field in schema
    ]
    return named(pa.table(columns, schema=schema), label)


def attributes(table: pa.Table, key: str) -> pa.Table:
    """A users or items table: `key` as text, `title` as text, every other column as text, number or bool.

    CSV columns become int64, float64 or bool where every value is written as one (`007` stays text). A name
    that is no plain identifier is made one (`release date` -> `release_date`); `id` becomes `source_id`.
    """
    label = label_of(table, "table")
    if key not in table.column_names:
        has = ", ".join(table.column_names)
        raise SourceError(f"{label}: column {key!r} is missing (has {has}); rename it or set source.columns.{key}")
    columns: dict[str, pa.ChunkedArray] = {key: cast(table[key], pa.string(), label, key)}
    for name in table.column_names:
        if name == key:
            continue
        plain = plain_name(name)
        if plain in columns:
            raise SourceError(f"{label}: column {name!r} would be stored as {plain!r} like another one; rename it")
        columns[plain] = (
            cast(table[name], pa.string(), label, name) if name == "title" else _infer(table[name], label, name)
        )
    return named(pa.table(columns), label)


def plain_name(name: str) -> str:
    """A column name as a property name of the graph: letters, digits and _, at most 64, not `id`."""
    plain = re.sub(r"[^A-Za-z0-9_]+", "_", name).strip("_")[:64] or "column"
    if plain[0].isdigit():
        plain = f"_{plain}"[:64]
    return "source_id" if plain == "id" else plain


def cast(column: pa.ChunkedArray, wanted: pa.DataType, label: str, name: str) -> pa.ChunkedArray:
    """One column as text, int64 or float64; `SourceError` with row and value where a cell does not fit."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_null(column.type):
        return pa.chunked_array([pa.nulls(len(column), wanted)])
    kind = column.type
    if pa.types.is_string(wanted):
        if _is_text(kind) or pa.types.is_integer(kind):
            return column.cast(pa.string())
        raise SourceError(f"{label}: column {name!r} has type {kind}; write it as text or whole numbers")
    if pa.types.is_timestamp(kind) and pa.types.is_int64(wanted):
        return column.cast(pa.timestamp("s", kind.tz), safe=False).cast(pa.int64())
    if _is_text(kind):
        return _parse(column.cast(pa.string()), wanted, label, name)
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        raise SourceError(f"{label}: column {name!r} has type {kind}; it must be {_MEANING.get(name, 'a number')}")
    if pa.types.is_integer(wanted) and pa.types.is_floating(kind):
        values = column.to_numpy().astype(np.float64)
        bad = np.flatnonzero(~np.isnan(values) & ((values != np.floor(values)) | (np.abs(values) >= 2**63)))
        if len(bad):
            raise _cell(label, int(bad[0]), name, str(values[bad[0]]))
        return pa.chunked_array([pa.array(values, pa.float64(), from_pandas=True).cast(pa.int64())])
    try:
        return column.cast(wanted)
    except pa.ArrowInvalid as error:
        raise SourceError(f"{label}: column {name!r} ({kind}) does not fit {wanted}; write smaller numbers") from error


def vectors(table: pa.Table) -> pa.Table:
    """`item_id`, `vector` as fixed-size list<float32>; every vector must have the same length."""
    label = label_of(table, "embeddings")
    keyed = conform(table, pa.schema([("item_id", pa.string())]), ("item_id",))
    if "vector" not in table.column_names:
        raise SourceError(f"{label}: column 'vector' is missing (has {', '.join(table.column_names)}); rename it")
    column = table["vector"].combine_chunks()
    if isinstance(column, pa.ChunkedArray):
        column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    kind = column.type
    listed = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    if not listed or not pa.types.is_floating(kind.value_type):
        raise SourceError(f"{label}: column 'vector' has type {kind}; write fixed-size lists of float32")
    present = column.is_valid().to_numpy(zero_copy_only=False)
    lengths = pc.list_value_length(column).to_numpy(zero_copy_only=False)
    dim = int(lengths[present][0]) if present.any() else (kind.list_size if pa.types.is_fixed_size_list(kind) else 1)
    wrong = np.flatnonzero(present & (lengths != dim))
    if len(wrong) or dim == 0:
        row = int(wrong[0]) if len(wrong) else 0
        raise SourceError(
            f"{label}: row {row + 1}, column 'vector': {int(lengths[row])} numbers, expected {dim or 'some'}"
        )
    values = np.zeros((len(column), dim), np.float32)
    values[present] = column.flatten().to_numpy(zero_copy_only=False).astype(np.float32).reshape(-1, dim)
    fixed = pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), dim, mask=pa.array(~present))
    return named(pa.table({"item_id": keyed["item_id"], "vector": fixed}), label)


def _infer(column: pa.ChunkedArray, label: str, name: str) -> pa.ChunkedArray:
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _infer(column.cast(kind.value_type), label, name)
    if pa.types.is_integer(kind):
        return cast(column, pa.int64(), label, name)
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return column.cast(pa.float64())
    if pa.types.is_boolean(kind):
        return column
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        joined = ["|".join(map(str, v)) if v is not None else None for v in column.to_pylist()]
        return pa.chunked_array([pa.array(joined, pa.string())])
    if pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        raise SourceError(f"{label}: column {name!r} has type {kind}; cast it to text or a number, or drop it")
    text = column.cast(pa.string())
    return _infer_text(text) if _is_text(kind) else text


def _infer_text(text: pa.ChunkedArray) -> pa.ChunkedArray:
    values = pl.Series(values=text.drop_null().to_pylist(), dtype=pl.String)
    if not len(values):
        return text
    if values.str.contains(_WHOLE).all():
        return text.cast(pa.int64())
    if values.str.contains(_NUMBER).all():
        return text.cast(pa.float64())
    if values.str.contains(_BOOLEAN).all():
        return pc.utf8_lower(text).cast(pa.bool_())
    return text


def _parse(column: pa.ChunkedArray, wanted: pa.DataType, label: str, name: str) -> pa.ChunkedArray:
    """Text cells as numbers; `978300760.0` counts as whole."""
    cells = pl.Series(values=column.to_pylist(), dtype=pl.String).str.strip_chars()
    numbers = cells.cast(pl.Float64, strict=False)
    bad = cells.is_not_null() & numbers.is_null()
    if pa.types.is_integer(wanted):
        whole = cells.cast(pl.Int64, strict=False)
        rounded = pl.select(
            pl.when(numbers.is_finite() & (numbers == numbers.floor()) & (numbers.abs() < 2**53)).then(numbers)
        ).to_series()
        result = whole.fill_null(rounded.cast(pl.Int64))
        bad = cells.is_not_null() & result.is_null()
    else:
        result = numbers
    if bad.any():
        row = int(bad.arg_max() or 0)
        raise _cell(label, row, name, str(column[row]))
    return pa.chunked_array([pa.array(result.to_list(), wanted)])


def _cell(label: str, row: int, name: str, value: str) -> SourceError:
    return SourceError(f"{label}: row {row + 1}, column {name!r}: {value!r} is not {_MEANING.get(name, 'a number')}")


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or kind == pa.string_view()
