"""Reading the file that names the users to score."""

import unicodedata
from pathlib import Path

import polars as pl

from scoring.errors import ScoringError


def read_users(path: Path) -> list[str]:
    """User ids in the file's order: `.csv` or `.parquet` with a `user_id` column, else text, one id a line.

    Raises `ScoringError` for a file that cannot be read, has no such column, or names an empty id.
    """
    try:
        if path.suffix == ".parquet":
            table = pl.read_parquet(path)
        elif path.suffix == ".csv":
            table = pl.read_csv(path, infer_schema=False)
        else:
            table = pl.DataFrame({"user_id": path.read_text(encoding="utf-8-sig").splitlines()})
    except (OSError, UnicodeDecodeError, pl.exceptions.PolarsError) as error:
        raise ScoringError(f"{path}: users cannot be read ({str(error).splitlines()[0]})") from error
    if "user_id" not in table.columns:
        raise ScoringError(f"{path}: column 'user_id' is missing (has {', '.join(table.columns)}); rename it")
    ids = table["user_id"].cast(pl.String).fill_null("").str.strip_chars()
    empty = (ids == "").arg_true()
    if len(empty):
        raise ScoringError(f"{path}: row {empty[0] + 1} names no user; remove the row")
    return [unicodedata.normalize("NFC", name) for name in ids]  # as a build reads ids
