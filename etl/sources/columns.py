"""Giving a source's columns the names and types of `etl.tables`."""

from collections.abc import Collection, Mapping

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from etl.errors import SourceError
from etl.sources.delimited import delimiter_of
from etl.sources.names import clean, clean_ids
from etl.sources.origin import label_of, like, place
from etl.sources.times import timestamps

_AS_WRITTEN = ("content", "tail_name")
"""Text columns that are no ids: only an empty cell is none."""
_DECIMAL_COMMA = r"^[+-]?([0-9]+|[0-9]{1,3}(\.[0-9]{3})+)(,[0-9]+)?([eE][+-]?[0-9]+)?$"


def rename(table: pa.Table, columns: Mapping[str, str]) -> pa.Table:
    """Apply `source.columns` (our name -> the file's name) to the columns that the file has."""
    label = label_of(table, "table")
    own = {clean(theirs): ours for ours, theirs in columns.items() if clean(theirs) in table.column_names}
    for theirs, ours in own.items():
        if ours in table.column_names and ours != theirs:
            raise SourceError(f"{label}: has both {ours!r} and {theirs!r}; drop one of them")
    return like(table.rename_columns([own.get(name, name) for name in table.column_names]), table)


def recognise(table: pa.Table, wanted: Collection[str]) -> pa.Table:
    """Columns that are called as wanted but for capitals (`User_ID`) get the wanted name, where none has it yet."""
    names = list(table.column_names)
    for name in set(wanted) - set(names):
        alike = [i for i, other in enumerate(names) if other.casefold() == name]
        if len(alike) == 1:
            names[alike[0]] = name
    return like(table.rename_columns(names), table)


def needs(table: pa.Table, required: Collection[str]) -> None:
    """Raise `SourceError` that lists the columns where a required one is missing."""
    for name in required:
        if name not in table.column_names:
            raise SourceError(
                f"{label_of(table, 'table')}: column {name!r} is missing (has {', '.join(table.column_names)}); rename "
                f"it or set source.columns.{name}"
            )


def conform(table: pa.Table, schema: pa.Schema, required: Collection[str]) -> pa.Table:
    """Exactly the columns of `schema` with its types; absent optional ones are null."""
    table = recognise(table, schema.names)
    needs(table, required)
    columns = [
        _column(table, field) if field.name in table.column_names else pa.nulls(len(table), field.type)
        for field in schema
    ]
    return like(pa.table(columns, schema=schema), table)


def unused(table: pa.Table, schema: pa.Schema) -> tuple[list[str], list[str]]:
    """The named columns that `conform` leaves out, and those of the schema that it does not find."""
    names = recognise(table, schema.names).column_names
    left = [name for name in names if name not in schema.names and not name.startswith("column ")]
    return left, [name for name in schema.names if name not in names]


def cast(column: pa.ChunkedArray, wanted: pa.DataType, table: pa.Table, name: str) -> pa.ChunkedArray:
    """One column as text, int64 or float64; `SourceError` with row and value where a cell does not fit."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_null(column.type):
        return pa.chunked_array([pa.nulls(len(column), wanted)])
    kind = column.type
    label = label_of(table, "table")
    if pa.types.is_string(wanted):
        return _text(column, table, name)
    if is_text(kind):
        return _parse(column.cast(pa.string()), wanted, table, name)
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
        raise SourceError(f"{label}: column {name!r} has type {kind}; it must be a number")
    if pa.types.is_integer(wanted) and not pa.types.is_integer(kind):
        values = column.cast(pa.float64()).to_numpy().astype(np.float64)
        bad = np.flatnonzero(~np.isnan(values) & ((values != np.floor(values)) | (np.abs(values) >= 2**63)))
        if len(bad):
            raise _cell(table, int(bad[0]), name, str(values[bad[0]]), "a whole number")
        return pa.chunked_array([pa.array(values, pa.float64(), from_pandas=True).cast(pa.int64())])
    try:
        return column.cast(wanted)
    except pa.ArrowInvalid as error:
        raise SourceError(f"{label}: column {name!r} ({kind}) does not fit {wanted}; write smaller numbers") from error


def vectors(table: pa.Table) -> pa.Table:
    """`item_id`, `vector` as fixed-size list<float32>; every vector must have the same length."""
    label = label_of(table, "embeddings")
    table = recognise(table, ("item_id", "vector"))
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
            f"{place(table, row, label)}, column 'vector': {int(lengths[row])} numbers, expected {dim or 'some'}"
        )
    values = np.zeros((len(column), dim), np.float32)
    values[present] = column.flatten().to_numpy(zero_copy_only=False).astype(np.float32).reshape(-1, dim)
    fixed = pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), dim, mask=pa.array(~present))
    return like(pa.table({"item_id": keyed["item_id"], "vector": fixed}), table)


def is_text(kind: pa.DataType) -> bool:
    """Whether cells are text, in whichever layout."""
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or kind == pa.string_view()


def with_points(cells: pl.Series) -> pl.Series:
    """Numbers written `1.234,5` as `1234.5`, where all of them are written so and one has a comma; else as given."""
    known = cells.drop_nulls()
    if not known.str.contains(",", literal=True).any() or not known.str.contains(_DECIMAL_COMMA).all():
        return cells
    return cells.str.replace_all(".", "", literal=True).str.replace(",", ".", literal=True)


def _column(table: pa.Table, field: pa.Field) -> pa.ChunkedArray:
    column = table[field.name]
    if field.name == "timestamp":
        return timestamps(column, table, field.name)
    converted = cast(column, field.type, table, field.name)
    if not pa.types.is_string(field.type):
        return converted
    if field.name in _AS_WRITTEN:
        return pc.if_else(pc.equal(pc.utf8_trim_whitespace(converted), ""), None, converted)
    if field.name == "uri":  # a file's name on disk may be in another Unicode form
        return pc.utf8_trim_whitespace(converted)
    ids = clean_ids(converted)
    return pc.utf8_lower(ids) if field.name in ("modality", "split") else ids


def _text(column: pa.ChunkedArray, table: pa.Table, name: str) -> pa.ChunkedArray:
    """Text and whole numbers, also those that a gap in their column made `298.0`."""
    kind = column.type
    if is_text(kind) or pa.types.is_integer(kind):
        return column.cast(pa.string())
    if pa.types.is_floating(kind):
        values = column.to_numpy().astype(np.float64)
        if (np.isnan(values) | ((values == np.floor(values)) & (np.abs(values) < 2**53))).all():
            return pa.chunked_array([pa.array(values, from_pandas=True).cast(pa.int64()).cast(pa.string())])
    if pa.types.is_decimal(kind) and kind.scale == 0:
        return column.cast(pa.string())
    raise SourceError(f"{label_of(table, 'table')}: column {name!r} has type {kind}; write it as text or whole numbers")


def _parse(column: pa.ChunkedArray, wanted: pa.DataType, table: pa.Table, name: str) -> pa.ChunkedArray:
    """Text cells as numbers; `978300760.0` counts as whole."""
    cells = pl.Series(values=pl.from_arrow(column), dtype=pl.String).str.strip_chars().replace("", None)
    if delimiter_of(table) != ",":
        cells = with_points(cells)
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
        meaning = "a whole number" if pa.types.is_integer(wanted) else "a number"
        raise _cell(table, row, name, str(column[row]), meaning)
    return pa.chunked_array([result.to_arrow()])


def _cell(table: pa.Table, row: int, name: str, value: str, meaning: str) -> SourceError:
    return SourceError(f"{place(table, row, 'table')}, column {name!r}: {value!r} is not {meaning}")
