"""Opening a source's files as Arrow tables: CSV cells stay text here, `columns` gives them their types."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from common.text import one_line
from etl.errors import SourceError

_LARGEST_BLOCK = 2**30


def open_folder(path: Path) -> Path:
    """The source folder, resolved. Raises `SourceError` where it is none."""
    if not path.is_dir():
        kind = "is not a folder" if path.exists() else "does not exist"
        raise SourceError(f"{path}: the source folder {kind}; set source.path")
    return path.resolve()


def inside(folder: Path, name: str) -> Path | None:
    """`folder/name` where it is a regular file in the (resolved) folder; None where there is nothing.

    Raises `SourceError` for a link that leads outside, a folder, a FIFO or a device.
    """
    path = folder / name
    if not path.exists() and not path.is_symlink():
        return None
    if not path.resolve().is_relative_to(folder):
        raise SourceError(f"{name}: the link leads outside {folder}; put the file itself into the folder")
    if not path.is_file():
        raise SourceError(f"{name}: not a regular file; replace it by one or remove it")
    return path


def read_table(folder: Path, name: str) -> pa.Table | None:
    """`name.parquet` or `name.csv` of the folder, or None. The file's name travels as `file` metadata."""
    found = [path for suffix in (".parquet", ".csv") if (path := inside(folder, name + suffix))]
    if len(found) > 1:
        raise SourceError(f"{name}.parquet and {name}.csv both exist; keep one")
    if not found:
        return None
    label = f"{name}{found[0].suffix}"
    return read_parquet(found[0], label) if found[0].suffix == ".parquet" else read_csv(found[0], label)


def read_parquet(path: Path, label: str) -> pa.Table:
    """One Parquet file, its own types."""
    try:
        with pq.ParquetFile(path) as file:
            return named(file.read(), label)
    except (pa.ArrowException, OSError) as error:
        raise SourceError(f"{label}: not readable as Parquet ({one_line(error)}); write the file again") from error


def read_csv(
    path: Path | io.BytesIO,
    label: str,
    *,
    delimiter: str = ",",
    names: Sequence[str] | None = None,
    quoted: bool = True,
    encoding: str = "utf8",
) -> pa.Table:
    """One delimited file, every cell as text, an empty unquoted cell as null.

    `names` are the columns of a file without a header line; bytes always need them. Raises `SourceError` with
    the row for a line that has too few or too many cells, for text that is not in `encoding` and for two columns
    of one name.
    """
    header = list(names or ()) if isinstance(path, io.BytesIO) or names else _header(path, label, delimiter, quoted)
    repeated = sorted({name for name in header if header.count(name) > 1})
    if repeated:
        raise SourceError(f"{label}: column {repeated[0]!r} occurs twice; rename one of them")
    size = len(path.getbuffer()) if isinstance(path, io.BytesIO) else path.stat().st_size
    block = min(size + 1, _LARGEST_BLOCK)
    try:
        table = pacsv.read_csv(
            path,
            read_options=pacsv.ReadOptions(
                column_names=header, skip_rows=0 if names else 1, block_size=block, encoding=encoding
            ),
            parse_options=pacsv.ParseOptions(
                delimiter=delimiter, quote_char='"' if quoted else False, newlines_in_values=quoted
            ),
            convert_options=pacsv.ConvertOptions(
                column_types=dict.fromkeys(header, pa.string()),
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        if "Empty CSV" in str(error):
            return named(pa.table({name: pa.array([], pa.string()) for name in header}), label)
        raise SourceError(f"{label}: not readable as UTF-8 CSV ({one_line(error)}); correct that line") from error
    return named(table, label)


def named(table: pa.Table, label: str) -> pa.Table:
    """The table with the file's name attached, so that later messages can name it."""
    return table.replace_schema_metadata({b"file": label.encode()})


def label_of(table: pa.Table, default: str) -> str:
    """The file a table was read from, or `default`."""
    return (table.schema.metadata or {}).get(b"file", default.encode()).decode()


def _header(path: Path, label: str, delimiter: str, quoted: bool) -> list[str]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = csv.reader(file, delimiter=delimiter, quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE)
            row = next(lines, None)
    except (UnicodeDecodeError, csv.Error, OSError) as error:
        raise SourceError(f"{label}: not readable as UTF-8 CSV ({one_line(error)}); save it as UTF-8") from error
    if not row:
        raise SourceError(f"{label}: the file is empty; it needs a header line")
    return row
