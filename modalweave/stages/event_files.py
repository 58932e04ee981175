"""Opening the events of an experiment: files, lazily, or a table of a SQL database."""

import os
from pathlib import Path
from typing import Any

import polars as pl

from common.text import one_line, suggestion
from modalweave.errors import RunError

_BLOCK = 100_000
"""Rows fetched at once from a database."""
_CURE = "give .parquet (a file or a folder of parts), .csv, .tsv, .arrow or a SQLAlchemy address"


def open_events(source: str, *, table: str = "events", columns: frozenset[str] = frozenset()) -> pl.LazyFrame:
    """The events, not read yet where they are files.

    Args:
        source: a path, or a SQLAlchemy address without a password (`SQL_USERNAME` and `SQL_PASSWORD` hold those).
        table: of a database; `schema.table` where it is in another schema.
        columns: of a database: what to read, as far as the table has it.

    Raises:
        RunError: names the file, the table or what is wrong with the address; never a password.
    """
    return _from_sql(source, table, columns) if "://" in source else open_table(Path(source))


def open_table(path: Path) -> pl.LazyFrame:
    """A file of rows with named columns, lazily."""
    if not path.exists():
        raise RunError(f"{path}: no such file; {_CURE}")
    try:
        if path.is_dir() or path.suffix == ".parquet":
            frame = pl.scan_parquet(path / "**/*.parquet" if path.is_dir() else path)
        elif path.suffix in (".csv", ".tsv"):
            frame = pl.scan_csv(path, separator="\t" if path.suffix == ".tsv" else ",", infer_schema_length=10_000)
        elif path.suffix == ".arrow":
            frame = pl.scan_ipc(path)
        else:
            raise RunError(f"{path}: unknown kind {path.suffix or 'without a suffix'!r}; {_CURE}")
        frame.collect_schema()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise RunError(f"{path}: not readable ({one_line(error)}); write the file again") from error
    return frame


def _from_sql(source: str, table: str, columns: frozenset[str]) -> pl.LazyFrame:
    import sqlalchemy as sa

    try:
        address = sa.make_url(source)
    except sa.exc.ArgumentError:
        raise RunError(
            "the address is none that SQLAlchemy reads; write e.g. postgresql+psycopg://host/database"
        ) from None
    if address.password is not None:
        raise RunError(f"{address.render_as_string()}: a password in an address is logged; set SQL_PASSWORD instead")
    password = os.environ.get("SQL_PASSWORD")
    if password is not None and address.host is not None:
        address = address.set(username=address.username or os.environ.get("SQL_USERNAME"), password=password)
    shown = address.render_as_string(hide_password=True)
    if address.get_backend_name() == "sqlite" and not Path(address.database or "").is_file():
        raise RunError(f"{shown}: no such file; name the database")
    try:
        engine = sa.create_engine(address)
        with engine.connect().execution_options(stream_results=True) as connection:
            found = _table(sa, connection, table, shown)
            wanted = [column for column in found.columns if not columns or column.name in columns]
            parts = connection.execute(sa.select(*wanted)).partitions(_BLOCK)
            names = [column.name for column in wanted]
            frames = [
                pl.DataFrame(list(map(tuple, part)), schema=names, orient="row", infer_schema_length=None)
                for part in parts
            ]
    except sa.exc.SQLAlchemyError as error:
        known = getattr(error, "orig", None) or error
        raise RunError(f"{shown}: {one_line(_without(str(known), password))}") from None
    if not frames:
        raise RunError(f"{shown}: table {table!r} is empty; nothing to analyse")
    return pl.concat(frames, how="vertical_relaxed").lazy()


def _table(sa: Any, connection: Any, name: str, shown: str) -> Any:
    """The table as the database describes it; a name that it lacks is never sent as SQL."""
    schema, _, bare = name.rpartition(".")
    described = sa.inspect(connection)
    known = [*described.get_table_names(schema or None), *described.get_view_names(schema or None)]
    if bare not in known:
        raise RunError(f"{shown}: no table {name!r}; {suggestion(bare, known, 'has')}")
    return sa.Table(bare, sa.MetaData(), schema=schema or None, autoload_with=connection)


def _without(text: str, password: str | None) -> str:
    return text.replace(password, "***") if password else text
