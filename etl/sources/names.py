"""Ids and names as everybody means them: without blanks around them, in one Unicode form."""

import unicodedata

import polars as pl
import pyarrow as pa

_AROUND = r"^[\s\p{Cf}\x00]+|[\s\p{Cf}\x00]+$"
"""Blanks, and what nobody sees: byte order marks, zero-width spaces."""


def clean(text: str) -> str:
    """One id or column name: NFC, nothing invisible around it."""
    cleaned: str = clean_series(pl.Series([text], dtype=pl.String))[0]
    return cleaned


def clean_series(values: pl.Series) -> pl.Series:
    """`clean` for a column of text; nulls stay."""
    return values.str.replace_all(_AROUND, "").str.normalize("NFC")


def clean_ids(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A text column as ids: clean, an empty one is null."""
    values = pl.Series(values=pl.from_arrow(column), dtype=pl.String)
    return pa.chunked_array([clean_series(values).replace("", None).to_arrow().cast(pa.string())])


def stored_text(name: str) -> str:
    """A name that Cypher can quote with backticks on every store: no control characters, no backslash."""
    kept = "".join("_" if c == "\\" or unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") else c for c in name)
    return clean(kept)[:200]
