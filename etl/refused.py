"""What a build left out: rows and media by file and reason, with counts and where the first of them are."""

from typing import Any

import polars as pl
import pyarrow as pa

from etl.coverage_warnings import MODEL

FIRST = 5
"""Rows or media named of each reason."""

_PLACE = r"^(.*?): row ([0-9]+): (.*)$"
_NAMED, _NUMBERS = r"'[^']*'|\"[^\"]*\"|\S*[/\\]\S*", r"\b\d[\d.,_]*\b"


def refused(quarantine: pa.Table | None) -> list[dict[str, Any]]:
    """`file`, `reason`, `count`, `rows` (the first lines) and `uris` (the first media), most frequent first.

    Reasons that differ in values only are one; the first is shown. Media that could not be used have the
    file `media`, replies of a language model `enrich`.
    """
    if quarantine is None or not len(quarantine):
        return []
    frame = _placed(quarantine)
    groups = frame.group_by("file", "kind", maintain_order=True).agg(
        pl.col("reason").first(),
        pl.len().alias("count"),
        pl.col("row").drop_nulls().head(FIRST).alias("rows"),
        pl.when(pl.col("row").is_null()).then("uri").drop_nulls().head(FIRST).alias("uris"),
    )
    return groups.sort("count", descending=True, maintain_order=True).drop("kind").to_dicts()


def kinds(quarantine: pa.Table) -> pl.Series:
    """Each row's reason up to its colon, without place, numbers or names."""
    return _placed(quarantine)["kind"].str.split(":").list.first().alias("kind")


def _placed(quarantine: pa.Table) -> pl.DataFrame:
    reason = pl.col("reason").cast(pl.String).fill_null("no reason")
    frame = pl.DataFrame(quarantine).with_columns(parts=reason.str.extract_groups(_PLACE))
    plain = pl.coalesce(pl.col("parts").struct.field("3"), reason)
    otherwise = pl.when(reason.str.starts_with(f"{MODEL}.")).then(pl.lit(MODEL)).otherwise(pl.lit("media"))
    return frame.select(
        file=pl.col("parts").struct.field("1").fill_null(otherwise),
        row=pl.col("parts").struct.field("2").cast(pl.Int64),
        uri=pl.col("uri").cast(pl.String),
        reason=plain,
        kind=plain.str.replace_all(_NAMED, "…").str.replace_all(_NUMBERS, "…"),
    )
