"""Exact nearest neighbours of media nodes by cosine similarity, as SIMILAR rows."""

from collections.abc import Sequence

import numpy as np
import polars as pl
import pyarrow as pa
from jaxtyping import Float

from common.progress import Progress
from common.vectors import unit_rows
from etl.config import NeighbourConfig

SIMILAR = pa.schema([("source", pa.string()), ("target", pa.string()), ("score", pa.float64())])

_BLOCK = 1024
_SPARE = 8
"""Candidates beyond k, so that equal scores at the border are ordered by id and not by faiss."""
_DIGITS = 6
"""Scores are rounded: float32 sums differ in the last digits with the block they are computed in."""


def nearest(
    ids: Sequence[str],
    vectors: Float[np.ndarray, "n dim"],
    config: NeighbourConfig,
    *,
    progress: Progress | None = None,
) -> pa.Table:
    """`SIMILAR`: from each node to its k most similar others, best first, ties by id. Never to itself."""
    return nearest_across(ids, vectors, ids, vectors, config, progress=progress)


def nearest_across(
    ids: Sequence[str],
    vectors: Float[np.ndarray, "n dim"],
    other_ids: Sequence[str],
    others: Float[np.ndarray, "m dim"],
    config: NeighbourConfig,
    *,
    progress: Progress | None = None,
) -> pa.Table:
    """`SIMILAR`: from each of `ids` to its k most similar of `other_ids`, vectors of the same encoder."""
    if not len(ids) or not len(other_ids):
        return SIMILAR.empty_table()
    import faiss  # here: a build that finds its links kept searches nothing

    order = np.argsort(np.array(other_ids, dtype=object), kind="stable")
    names = pl.Series(values=[other_ids[i] for i in order], dtype=pl.String)
    index = faiss.IndexFlatIP(others.shape[1])
    index.add(unit_rows(others[order], np.float64))
    queries, wanted = unit_rows(vectors, np.float64), min(config.k + 1 + _SPARE, len(other_ids))
    blocks = []
    for start in range(0, len(queries), _BLOCK):
        scores, found = index.search(queries[start : start + _BLOCK], wanted)
        blocks.append(_best(scores, found, ids[start : start + _BLOCK], names, config))
        if progress is not None:
            progress(min(start + _BLOCK, len(queries)), len(queries))
    return pl.concat(blocks).to_arrow().cast(SIMILAR)


def _best(
    scores: np.ndarray, found: np.ndarray, sources: Sequence[str], names: pl.Series, config: NeighbourConfig
) -> pl.DataFrame:
    rows, width = scores.shape
    pairs = pl.DataFrame(
        {
            "row": np.repeat(np.arange(rows), width),
            "place": found.ravel(),
            "score": np.round(scores.ravel().astype(np.float64), _DIGITS).clip(-1, 1),
        }
    ).filter(pl.col("place") >= 0)
    pairs = pairs.with_columns(
        source=pl.Series(values=list(sources), dtype=pl.String)[pairs["row"]], target=names[pairs["place"]]
    )
    kept = pairs.filter((pl.col("source") != pl.col("target")) & (pl.col("score") >= config.min_score))
    ranked = kept.sort("row", -pl.col("score"), "place")
    return ranked.group_by("row", maintain_order=True).head(config.k).select(SIMILAR.names)
