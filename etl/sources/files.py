"""Opening a source's files as Arrow tables: one file, or a folder of Parquet parts as Spark and Dask write them."""

import importlib
import re
from collections.abc import Collection
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from common.text import one_line
from etl.errors import SourceError
from etl.sources.delimited import read_csv
from etl.sources.names import clean
from etl.sources.origin import named, together

SUFFIXES = (".parquet", ".csv", ".tsv", ".xlsx")
"""What a table's file may end in."""


def open_folder(path: Path) -> Path:
    """The source folder, resolved. Raises `SourceError` where it is none."""
    if not path.is_dir():
        kind = "is not a folder" if path.exists() else "does not exist"
        where = "" if path.is_absolute() else f" (source.path {str(path)!r} counts from the working directory)"
        raise SourceError(f"{path.absolute()}: the source folder {kind}; set source.path{where}")
    return path.resolve()


def inside(folder: Path, name: str, *, parts: bool = False) -> Path | None:
    """`folder/name` where it is a regular file in the (resolved) folder; None where there is nothing.

    With `parts` a folder will do. Raises `SourceError` for a link that leads outside, another folder, a FIFO or a
    device.
    """
    path = folder / name
    if not path.exists() and not path.is_symlink():
        return None
    if not path.resolve().is_relative_to(folder):
        raise SourceError(f"{name}: the link leads outside {folder}; put the file itself into the folder")
    if not path.is_file() and not (parts and path.is_dir()):
        raise SourceError(f"{name}: not a regular file; replace it by one or remove it")
    return path


def read_table(
    folder: Path, name: str, *, delimiter: str | None = None, expected: Collection[str] = ()
) -> pa.Table | None:
    """`name` with one of `SUFFIXES` in the folder, or None; `delimiter` and `expected` as for `read_csv`."""
    found = [path for suffix in SUFFIXES if (path := inside(folder, name + suffix, parts=suffix == ".parquet"))]
    if len(found) > 1:
        raise SourceError(f"{name}{found[0].suffix} and {name}{found[1].suffix} both exist; keep one")
    if not found:
        return None
    label = f"{name}{found[0].suffix}"
    if found[0].suffix == ".parquet":
        return read_parquet(found[0], label)
    if found[0].suffix == ".xlsx":
        return _read_workbook(found[0], label)
    return read_csv(found[0], label, delimiter=delimiter, expected=expected)


def read_parquet(path: Path, label: str) -> pa.Table:
    """One Parquet file or a folder of parts, its own types; what a path says (`split=train/`) is a column."""
    if not path.is_dir():
        return _read_one(path, label)
    files = [file for file in path.rglob("*.parquet") if not _is_hidden(file.relative_to(path)) and file.is_file()]
    if not files:
        raise SourceError(f"{label}: the folder holds no part that ends in .parquet; write the table again")
    outside = [file for file in files if not file.resolve().is_relative_to(path.resolve())]
    if outside:
        raise SourceError(f"{label}/{outside[0].name}: the link leads outside {path}; put the file itself there")
    tables = []
    for file in sorted(files, key=lambda file: _natural(str(file.relative_to(path)))):
        relative = file.relative_to(path)
        table = _read_one(file, f"{label}/{relative.as_posix()}")
        for key, _, value in (folder.partition("=") for folder in relative.parts[:-1] if "=" in folder):
            if key not in table.column_names:
                table = table.append_column(key, pa.array([value] * len(table), pa.string()))
        tables.append(table)
    try:
        return together(tables, label)
    except pa.ArrowException as error:
        raise SourceError(f"{label}: the parts' columns differ ({one_line(error)}); write the table again") from error


def _read_one(path: Path, label: str) -> pa.Table:
    try:
        with pq.ParquetFile(path) as file:
            table = file.read()
    except (pa.ArrowException, OSError) as error:
        raise SourceError(f"{label}: not readable as Parquet ({one_line(error)}); write the file again") from error
    names = [clean(name) for name in table.column_names]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise SourceError(f"{label}: column {repeated[0]!r} occurs twice; rename one of them")
    for name, column in zip(names, table.columns, strict=True):
        try:
            column.validate(full=True)
        except pa.ArrowInvalid as error:
            raise SourceError(f"{label}: column {name!r} is damaged ({one_line(error)}); write it again") from error
    return named(table.rename_columns(names), label)


def _read_workbook(path: Path, label: str) -> pa.Table:
    """The first sheet, where the engine that polars reads workbooks with is installed."""
    try:
        engine = importlib.import_module("fastexcel")
    except ModuleNotFoundError:
        raise SourceError(f"{label}: an Excel workbook; export CSV UTF-8 from it, or install fastexcel") from None
    try:
        frame = pl.read_excel(path, engine="calamine")
    except (pl.exceptions.PolarsError, engine.FastExcelError, ValueError, OSError) as error:
        raise SourceError(f"{label}: no workbook that can be read ({one_line(error)}); export CSV UTF-8") from error
    frame = frame.rename({name: clean(name) for name in frame.columns})
    return named(frame.to_arrow(), label, [(0, label, 2)])


def _is_hidden(relative: Path) -> bool:
    """`_SUCCESS`, `_temporary/`, `.part.crc`: what Spark and Hadoop leave beside the parts."""
    return any(part.startswith(("_", ".")) for part in relative.parts)


def _natural(name: str) -> list[tuple[int, str]]:
    """Part 10 comes after part 2."""
    return [(int(piece), "") if piece.isdigit() else (0, piece) for piece in re.split(r"([0-9]+)", name)]
