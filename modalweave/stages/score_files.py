"""The files that a batch job is given: users, items and pairs, each in any form that a data set may have."""

from pathlib import Path

import polars as pl
import pyarrow as pa

from etl.sources.attributes import attributes
from etl.sources.columns import conform
from etl.sources.delimited import read_csv
from etl.sources.files import read_parquet
from etl.sources.names import clean_ids
from etl.sources.origin import named
from etl.tables import INTERACTIONS
from scoring.errors import ScoringError
from scoring.restrictions import Restrictions


def read_restrictions(
    *,
    items: Path | None,
    exclude: Path | None,
    where: str | None,
    include_seen: bool,
    at_most: int | None,
    per: str | None,
    pairs: Path | None,
) -> Restrictions:
    """What a job is asked for, its files read."""
    return Restrictions(
        items=None if items is None else read_items(items),
        exclude=None if exclude is None else read_items(exclude)["item_id"].to_list(),
        where=where,
        include_seen=include_seen,
        at_most=at_most,
        per=per,
        pairs=None if pairs is None else read_pairs(pairs),
    )


def read_users(path: Path) -> list[str]:
    """User ids in the file's order; text holds one id a line. Raises as `read_items` does."""
    table = conform(_table(path, ("user_id",)), pa.schema([("user_id", pa.string())]), ("user_id",))
    return _frame(path, table)["user_id"].to_list()


def read_items(path: Path) -> pl.DataFrame:
    """`item_id` and typed attributes, as a data set's items table is read; text holds one id a line.

    Raises `ScoringError` for a file without a row, `etl.errors.SourceError` for one that cannot be read.
    """
    return _frame(path, attributes(_table(path, ("item_id",)), "item_id").table)


def read_pairs(path: Path) -> pl.DataFrame:
    """`user_id`, `item_id`."""
    table = conform(_table(path, ("user_id", "item_id")), INTERACTIONS, ("user_id", "item_id"))
    return _frame(path, table.select(["user_id", "item_id"]))


def read_histories(path: Path) -> pl.DataFrame:
    """`user_id`, `item_id` and, where the file has it, `weight`, as a data set's interactions are read."""
    table = conform(_table(path, ("user_id", "item_id")), INTERACTIONS, ("user_id", "item_id"))
    return _frame(path, table.select(["user_id", "item_id", "weight"]))


def _table(path: Path, expected: tuple[str, ...]) -> pa.Table:
    """The rows as they stand; of a text file of one column the lines."""
    label = path.name
    if path.suffix in (".json", ".jsonl", ".ndjson"):
        raise ScoringError(f"{path}: is JSON, which is not read here; write Parquet or CSV")
    if path.suffix == ".parquet" or path.is_dir():
        return read_parquet(path, label)
    if path.suffix in (".csv", ".tsv") or len(expected) > 1:
        return read_csv(path, label, expected=expected)
    try:
        lines = [line for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except UnicodeDecodeError as error:
        raise ScoringError(f"{path}: is no UTF-8 text ({error.reason}); write an id a line, Parquet or CSV") from error
    return named(pa.table({expected[0]: clean_ids(pa.chunked_array([pa.array(lines, pa.string())]))}), label)


def _frame(path: Path, table: pa.Table) -> pl.DataFrame:
    if not len(table):
        raise ScoringError(f"{path}: holds no row; name at least one, or leave the option out")
    frame = pl.DataFrame(table)
    for name in [name for name in ("user_id", "item_id") if name in frame.columns and frame[name].null_count()]:
        row = frame[name].is_null().arg_true()[0] + 1
        raise ScoringError(f"{path}: row {row} has no {name}; fill it in or remove the row")
    return frame
