"""A users or items table: names that every store holds, and types that keep every character of a cell."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from etl.errors import SourceError
from etl.sources.columns import cast, is_text, needs, recognise, with_points
from etl.sources.delimited import delimiter_of
from etl.sources.names import clean_ids, stored_text
from etl.sources.origin import label_of, like, places
from etl.tables import QUARANTINE

_TAKEN = frozenset({"id", "embedding", "_id", "_label", "_src", "_dst"})
"""What the graph or a store calls something of its own; names differ by more than capitals."""
_WHOLE = r"^(0|-?[1-9][0-9]{0,18})$"
_NUMBER = r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?$"
_BOOLEAN = r"^(?i:true|false)$"
_MEANING = {pa.int64(): "a whole number", pa.float64(): "a number", pa.bool_(): "true or false"}


class Attributes(NamedTuple):
    """A typed table, what was said about it, and the cells that were left out."""

    table: pa.Table
    notes: list[str]
    rejected: pa.Table


def attributes(
    table: pa.Table,
    key: str,
    *,
    wanted: Mapping[str, pa.DataType] | None = None,
    held: Mapping[str, pa.DataType] | None = None,
) -> Attributes:
    """`key` as text, `title` as text, every other column as text, int64, float64 or bool.

    Text becomes a number or a bool where every cell is written as one and none would lose a character (`007`, `1.10`,
    `12E5` stay text). `wanted` are the types a config sets, `held` those a store has: a cell that does not fit is left
    empty with its reason; whole numbers become float64 where decimals arrive. A name that a store cannot hold beside
    the others gets `source_` before it. Raises `SourceError` for a missing key, and where no cell of a column fits.
    """
    table = recognise(table, (key, "title"))
    needs(table, (key,))
    held = dict(held or {})
    names = _stored_names([name for name in table.column_names if name != key], held)
    label, notes = label_of(table, "table"), _told(table, names)
    ids = clean_ids(cast(table[key], pa.string(), table, key))
    columns: dict[str, pa.ChunkedArray] = {key: ids}
    rejected = []
    for name, stored in names.items():
        column = _text_or_typed(table[name], label, name)
        kind = pa.string() if stored == "title" else (wanted or {}).get(name, held.get(stored))
        if name.startswith("column ") and column.null_count == len(column):
            continue  # what a delimiter at the end of every line makes
        if kind is None:
            columns[stored], note = _inferred(column, table, name)
            notes += [note] if note else []
        else:
            columns[stored], refused = _fitted(column, kind, table, name, key, exact=name in (wanted or {}))
            rejected.append(refused)
    typed = like(pa.table(columns), table)
    return Attributes(typed, notes, pa.concat_tables([QUARANTINE.empty_table(), *rejected]))


def _stored_names(columns: Sequence[str], held: Mapping[str, pa.DataType]) -> dict[str, str]:
    """Column -> property. Of names that differ in capitals only, the one in small letters keeps its own."""
    before = {name.casefold(): name for name in held}
    taken = set(_TAKEN)
    names: dict[str, str] = {}
    for column in sorted(columns, key=lambda name: (name != name.casefold(), name)):
        name = stored_text(column) or "column"
        while name.casefold() in taken:
            name = f"source_{name}"
        taken.add(name.casefold())
        names[column] = before.get(name.casefold(), name)
    return {column: names[column] for column in columns}


def _told(table: pa.Table, names: Mapping[str, str]) -> list[str]:
    changed = {column: name for column, name in names.items() if name != column and not column.startswith("column ")}
    return [
        f"{label_of(table, 'table')}: column {column!r} is called {name!r} in the graph"
        for column, name in changed.items()
    ]


def _text_or_typed(column: pa.ChunkedArray, label: str, name: str) -> pa.ChunkedArray:
    """Text, int64, float64 or bool; lists as `a|b`; a number that would change is text."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _text_or_typed(column.cast(kind.value_type), label, name)
    if pa.types.is_integer(kind):
        fits = not pa.types.is_uint64(kind) or (pc.max(column).as_py() or 0) < 2**63
        return column.cast(pa.int64() if fits else pa.string())
    if pa.types.is_floating(kind) and not pa.types.is_float64(kind):  # by its digits: float32 0.1 is 0.1
        return column.cast(pa.float32()).cast(pa.string()).cast(pa.float64())
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        joined = ["|".join(map(str, v)) if v is not None else None for v in column.to_pylist()]
        return pa.chunked_array([pa.array(joined, pa.string())])
    if pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        raise SourceError(f"{label}: column {name!r} has type {kind}; cast it to text or a number, or drop it")
    kept = pa.types.is_float64(kind) or pa.types.is_boolean(kind)
    return column if kept else column.cast(pa.string())


def _inferred(column: pa.ChunkedArray, table: pa.Table, name: str) -> tuple[pa.ChunkedArray, str | None]:
    """A text column's own type, and why it is text where it looks like numbers."""
    if not is_text(column.type):
        return column, None
    cells = _cells(column, table)
    values = cells.drop_nulls().unique(maintain_order=True)
    typed: pa.ChunkedArray | None = None
    note: str | None = None
    if not len(values):
        typed = pa.chunked_array([pa.nulls(len(column), pa.string())])
    elif values.str.contains(_WHOLE).all() and not values.cast(pl.Int64, strict=False).null_count():
        typed = _arrow(cells.cast(pl.Int64))
    elif values.str.contains(_BOOLEAN).all():
        typed = pc.utf8_lower(_arrow(cells)).cast(pa.bool_())
    elif values.str.contains(_NUMBER).all():
        lost = next((value for value in values if not _is_exact(value)), None)
        if lost is None:
            typed = _arrow(cells.cast(pl.Float64))
        else:
            why = f"{label_of(table, 'table')}: {name!r} is text, for as a number {lost!r} would lose a character"
            note = f"{why}; source.types: {{{name}: number}} makes it one"
    return column if typed is None else typed, note


def _fitted(
    column: pa.ChunkedArray, kind: pa.DataType, table: pa.Table, name: str, key: str, *, exact: bool
) -> tuple[pa.ChunkedArray, pa.Table]:
    """The column in a type that is given; cells that do not fit are null, and rows of the second table."""
    nothing = QUARANTINE.empty_table()
    if column.type == kind:
        return column, nothing
    if pa.types.is_string(kind):
        return column.cast(pa.string()), nothing
    cells = _cells(column.cast(pa.string()), table)
    if pa.types.is_boolean(kind):
        values = cells.str.to_lowercase().replace_strict(["true", "false"], [True, False], default=None)
    else:
        numbers = cells.cast(pl.Float64, strict=False)
        numbers = pl.select(pl.when(numbers.is_finite()).then(numbers)).to_series()
        whole = cells.cast(pl.Int64, strict=False)
        if kind == pa.int64() and not exact and (whole.is_null() & numbers.is_not_null()).any():
            kind = pa.float64()
        values = whole if kind == pa.int64() else numbers
    values = values.cast({pa.int64(): pl.Int64, pa.float64(): pl.Float64, pa.bool_(): pl.Boolean}[kind])
    wrong = cells.is_not_null() & values.is_null()
    if not wrong.any():
        return _arrow(values), nothing
    whose = "as source.types says" if exact else "as in the store"
    if wrong.sum() == cells.is_not_null().sum():
        at = int(wrong.arg_max() or 0)
        raise SourceError(
            f"{label_of(table, 'table')}: column {name!r}: no cell is {_MEANING[kind]} {whose} ({str(cells[at])!r}); "
            "rename the column, or remove the run's graph and build anew"
        )
    files, lines = places(table, "table")
    rows = wrong.arg_true().to_list()
    reasons = [
        f"{files[row]}: row {lines[row]}: {name} {cells[row]!r} is not {_MEANING[kind]} {whose}; left empty"
        for row in rows
    ]
    refused = {
        "item_id": pa.array([str(table[key][row]) if key == "item_id" else None for row in rows], pa.string()),
        "modality": pa.nulls(len(rows), pa.string()),
        "uri": pa.nulls(len(rows), pa.string()),
        "reason": pa.array(reasons, pa.string()),
    }
    return _arrow(values), pa.table(refused, schema=QUARANTINE)


def _cells(column: pa.ChunkedArray, table: pa.Table) -> pl.Series:
    """Cells without blanks around them, none where empty, with decimal points where a file writes commas."""
    cells = pl.Series(values=pl.from_arrow(column), dtype=pl.String).str.strip_chars().replace("", None)
    return with_points(cells) if delimiter_of(table) == ";" else cells


def _is_exact(text: str) -> bool:
    """Whether a number's shortest notation is the text itself."""
    shortest = repr(float(text))
    return text in (shortest, shortest.removesuffix(".0"))


def _arrow(values: pl.Series) -> pa.ChunkedArray:
    found = values.to_arrow()
    return pa.chunked_array([found.cast(pa.string()) if is_text(found.type) else found])
