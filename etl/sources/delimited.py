"""Delimited text as Arrow: encoding, delimiter and header are found, cells stay text (`columns` gives them types)."""

import csv
import io
import sys
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

from common.text import one_line
from etl.errors import SourceError
from etl.sources.names import clean
from etl.sources.origin import Segment, named

if TYPE_CHECKING:
    from _csv import Reader

DELIMITERS = (",", ";", "\t", "|")
"""What may stand between cells where nothing is set, the likeliest first."""

_LARGEST_BLOCK = 2**30
_FOREIGN = {
    b"PK\x03\x04": ("an Excel workbook or zip file", "open it and export CSV UTF-8"),
    b"\xd0\xcf\x11\xe0": ("an old Excel workbook", "open it and export CSV UTF-8"),
    b"PAR1": ("Parquet", "call it .parquet"),
    b"\x1f\x8b": ("compressed with gzip", "unpack it"),
}
_BOMS = {b"\xef\xbb\xbf": "utf-8", b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}


class _Head(NamedTuple):
    names: list[str]
    size: int
    """Bytes up to the first row."""
    lines: int
    delimiter: str


def read_csv(
    source: Path | bytes,
    label: str,
    *,
    delimiter: str | None = None,
    expected: Collection[str] = (),
    names: Sequence[str] | None = None,
    quoted: bool = True,
    fallback: str | None = None,
) -> pa.Table:
    """One delimited file, every cell as text, an empty cell as null, quoted or not.

    Without a `delimiter` it is the one that splits the header into the most `expected` names. `names` are the columns
    of a file without a header line; `fallback` is the encoding of what is not UTF-8. Raises `SourceError` with the
    line of a row that has too few or too many cells, for other encodings and file formats, and for two columns of
    one name.
    """
    data = _decoded(source.read_bytes() if isinstance(source, Path) else source, label, fallback)
    head = _Head(list(names), 0, 0, delimiter or ",") if names else _head(data, label, delimiter, expected, quoted)
    repeated = sorted({name for name in head.names if head.names.count(name) > 1})
    if repeated:
        raise SourceError(f"{label}: column {repeated[0]!r} occurs twice; rename one of them")
    body = memoryview(data)[head.size :]
    try:
        table = _parse(body, head, quoted)
    except (pa.ArrowException, OSError) as error:
        raise _broken(data, body, head, label, quoted, error) from error
    segments = _segments(body, head, label, len(table), quoted)
    table = named(_without_blank_end(table), label, segments)
    return table.replace_schema_metadata({**table.schema.metadata, b"delimiter": head.delimiter.encode()})


def delimiter_of(table: pa.Table) -> str:
    """What stood between the cells of a table read by `read_csv`; a comma for any other."""
    return (table.schema.metadata or {}).get(b"delimiter", b",").decode()


def _parse(body: memoryview, head: _Head, quoted: bool) -> pa.Table:
    kinds = dict.fromkeys(head.names, pa.string())
    if not bytes(body[:4096]).strip() and not bytes(body).strip():
        return pa.table({name: pa.array([], pa.string()) for name in head.names})
    return pacsv.read_csv(
        pa.BufferReader(body),
        read_options=pacsv.ReadOptions(column_names=head.names, block_size=min(len(body) + 1, _LARGEST_BLOCK)),
        parse_options=pacsv.ParseOptions(
            delimiter=head.delimiter, quote_char='"' if quoted else False, newlines_in_values=quoted
        ),
        convert_options=pacsv.ConvertOptions(
            column_types=kinds, null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=True
        ),
    )


def _without_blank_end(table: pa.Table) -> pa.Table:
    """Spreadsheets export rows of nothing but delimiters below the last one."""
    if not len(table) or any(column[-1].is_valid for column in table.columns):
        return table
    filled = [np.flatnonzero(column.is_valid().to_numpy()).max(initial=-1) for column in table.columns]
    return table.slice(0, int(max(filled)) + 1)


def _decoded(data: bytes, label: str, fallback: str | None) -> bytes:
    """The text as UTF-8 without a byte order mark; UTF-16 is told by its mark or its zero bytes."""
    for magic, (what, cure) in _FOREIGN.items():
        if data.startswith(magic):
            raise SourceError(f"{label}: the file is {what}, not CSV; {cure}")
    encoding, size = next(((name, len(bom)) for bom, name in _BOMS.items() if data.startswith(bom)), ("utf-8", 0))
    if not size and len(data) > 3 and 0 in (data[0], data[1]) and data[0] != data[1]:
        encoding = "utf-16-be" if data[0] == 0 else "utf-16-le"
    try:
        if encoding != "utf-8":
            return data[size:].decode(encoding).encode()
        if fallback is not None:
            data[size:].decode()
    except UnicodeDecodeError as error:
        if fallback is None:
            raise SourceError(
                f"{label}: not readable as {encoding.upper()} ({error.reason}); save it as UTF-8"
            ) from error
        return data.decode(fallback).encode()
    return data[size:]


def _head(data: bytes, label: str, delimiter: str | None, expected: Collection[str], quoted: bool) -> _Head:
    """The header as the wanted delimiter splits it, else as the one that gives most expected names, then most names."""
    told, size, lines = delimiter, 0, 0
    if data[:4].lower() == b"sep=" and data[5:6] in (b"\r", b"\n"):  # what Excel writes and reads first
        told, size, lines = delimiter or data[4:5].decode(), data.index(b"\n") + 1, 1
    try:
        heads = [_first_row(data, size, lines, each, quoted) for each in ([told] if told else DELIMITERS)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise _unreadable(data, label, error) from error
    wanted = {name.casefold() for name in expected}
    head = max(heads, key=lambda head: (sum(n.casefold() in wanted for n in head.names), len(head.names)))
    if not any(head.names):
        raise SourceError(f"{label}: the file is empty; it needs a header line")
    return head._replace(names=[name or f"column {n}" for n, name in enumerate(head.names, 1)])


def _first_row(data: bytes, size: int, lines: int, delimiter: str, quoted: bool) -> _Head:
    text = io.TextIOWrapper(io.BytesIO(data), encoding="utf-8", newline="")
    text.seek(size)
    read: list[str] = []

    def kept() -> Iterator[str]:
        for line in text:
            read.append(line)
            yield line

    found: list[str] = next((row for row in _rows(kept(), delimiter, quoted) if any(map(clean, row))), [])
    names = [clean(name) for name in found]
    return _Head(names, size + len("".join(read).encode()), lines + len(read), delimiter)


def _rows(lines: Iterator[str], delimiter: str, quoted: bool) -> "Reader":
    csv.field_size_limit(sys.maxsize)
    return csv.reader(lines, delimiter=delimiter, quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE)


def _segments(body: memoryview, head: _Head, label: str, rows: int, quoted: bool) -> list[Segment]:
    """Where each row starts: one after the other, unless cells hold line breaks or lines are blank."""
    text = bytes(body)
    breaks = text.count(b"\n") or text.count(b"\r")
    plain: list[Segment] = [(0, label, head.lines + 1)]
    if breaks + (not text.endswith((b"\n", b"\r"))) == rows or not rows:
        return plain
    found: list[Segment] = []
    reader = _rows(io.TextIOWrapper(io.BytesIO(text), encoding="utf-8", newline=""), head.delimiter, quoted)
    row = before = 0
    try:
        for cells in reader:
            line = head.lines + before + 1
            if cells:
                if not found or found[-1][2] + row - found[-1][0] != line:
                    found.append((row, label, line))
                row += 1
            before = reader.line_num
    except csv.Error:
        return plain
    return found if row == rows else plain


def _broken(data: bytes, body: memoryview, head: _Head, label: str, quoted: bool, error: BaseException) -> SourceError:
    """What pyarrow refused, with the line of the file."""
    reader = _rows(io.TextIOWrapper(io.BytesIO(body), encoding="utf-8", newline=""), head.delimiter, quoted)
    line = head.lines + 1
    try:
        for cells in reader:
            if cells and len(cells) != len(head.names):
                return SourceError(
                    f"{label}: row {line} has {len(cells)} cells, the header {len(head.names)}; correct that line"
                )
            line = head.lines + reader.line_num + 1
    except (UnicodeDecodeError, csv.Error) as other:
        return _unreadable(data, label, other)
    return _unreadable(data, label, error)


def _unreadable(data: bytes, label: str, error: BaseException) -> SourceError:
    try:
        data.decode()
    except UnicodeDecodeError as wrong:
        line = data.count(b"\n", 0, wrong.start) + 1
        byte = f"0x{data[wrong.start]:02x}"
        return SourceError(
            f"{label}: not readable as UTF-8 CSV (row {line} holds the byte {byte}); save it as UTF-8 (Excel's "
            '"CSV UTF-8")'
        )
    return SourceError(f"{label}: not readable as UTF-8 CSV ({one_line(error)}); correct that line")
