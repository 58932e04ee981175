"""Rows as JSON, CSV or Parquet, on stdout or in a file."""

import io
import json
import sys
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from common.files import write_bytes
from common.spreadsheet import plain_cells
from modalweave.errors import RunError

Format = Literal["table", "json", "csv", "parquet"]
"""`table` is for people; the others are for programs."""

_ENDINGS: dict[str, Format] = {".json": "json", ".csv": "csv", ".parquet": "parquet"}


def chosen(wanted: Format | None, out: Path | None) -> Format:
    """The format that was asked for, else the one the file's ending names, else a table.

    Raises `RunError` where a file has no format, and for Parquet on a terminal.
    """
    if wanted is None and out is not None:
        if out.suffix.lower() not in _ENDINGS:
            raise RunError(f"--out {str(out)!r}: no format ends in {out.suffix!r}; add --format json, csv or parquet")
        return _ENDINGS[out.suffix.lower()]
    if wanted == "parquet" and out is None:
        raise RunError("--format parquet: Parquet is no text; name a file with --out FILE.parquet")
    if wanted == "table" and out is not None:
        raise RunError(f"--out {str(out)!r}: a table is for the terminal; add --format json, csv or parquet")
    return wanted or "table"


def as_object(table: pa.Table) -> dict[str, Any]:
    """`{"columns": [...], "rows": [{...}, ...]}`."""
    return {"columns": table.column_names, "rows": table.to_pylist()}


def write(table: pa.Table, kind: Literal["json", "csv", "parquet"], out: Path | None) -> None:
    """Write the rows whole into `out`, or to stdout where it is None."""
    if out is None:
        sys.stdout.write(encoded(table, kind).decode())
    else:
        write_bytes(out, encoded(table, kind))


def encoded(table: pa.Table, kind: Literal["json", "csv", "parquet"]) -> bytes:
    """The rows as a file holds them."""
    if kind == "json":
        return (json.dumps(as_object(table), default=str, ensure_ascii=False) + "\n").encode()
    sink = io.BytesIO()
    if kind == "parquet":
        pq.write_table(table, sink)
    else:
        columns = [plain_cells(_flat(column)) for column in table.columns]
        pa.csv.write_csv(pa.table(columns, names=table.column_names), sink)
    return sink.getvalue()


def _flat(column: pa.ChunkedArray) -> pa.ChunkedArray | pa.Array:
    """Lists and structures as their JSON text: CSV knows neither."""
    if not pa.types.is_nested(column.type):
        return column
    values = [None if v is None else json.dumps(v, default=str, ensure_ascii=False) for v in column.to_pylist()]
    return pa.array(values, pa.string())
