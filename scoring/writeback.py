"""Scored links back into the graph, as RECOMMENDED relationships that name their model."""

from collections.abc import Callable
from pathlib import Path

import polars as pl

from graph.schema import EdgeType
from graph.store import GraphStore
from scoring.errors import ScoringError
from scoring.journal import MANIFEST

RECOMMENDED = EdgeType("User", "RECOMMENDED", "Item")

_ROWS = 1_000_000
"""Links handed to the store at once: it compares each batch with all it holds, so few and large ones are fast."""


def write_back(
    store: GraphStore,
    scores: Path,
    *,
    model_id: str,
    created: str,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Write the parts of a finished job into a store; returns how many links were created or changed.

    A link that the store already holds for this model with equal rank and score keeps its `created`, so the
    same parts twice write nothing.

    Args:
        store: an open, writable store with the schema of `graph.schema`.
        scores: the folder of `run_job`.
        model_id: stored as `model`; each model has its own links.
        created: ISO 8601 time, stored as is.
        progress: called with (parts done, parts in all).

    Raises:
        ScoringError: the folder has no manifest, so the job is not finished.
    """
    if not (scores / MANIFEST).is_file():
        raise ScoringError(f"{scores}: no {MANIFEST}, so the job is not finished; run it again to the end")
    parts = sorted(scores.glob("part-*.parquet"))
    present = _present(store, model_id)
    changed = 0
    waiting: list[pl.DataFrame] = []
    for done, path in enumerate(parts, start=1):
        links = pl.read_parquet(path).select(
            pl.col("user_id").alias("source"),
            pl.col("item_id").alias("target"),
            pl.col("score").cast(pl.Float64),
            pl.col("rank").cast(pl.Int64),
            pl.lit(model_id).alias("model"),
            pl.lit(created).alias("created"),
        )
        waiting.append(links.join(present, on=["source", "target", "score", "rank"], how="anti"))
        if sum(map(len, waiting)) >= _ROWS or done == len(parts):
            news = pl.concat(waiting)
            waiting.clear()
            if len(news):
                changed += store.write_relationships(RECOMMENDED, news.to_arrow())
        if progress:
            progress(done, len(parts))
    return changed


def _present(store: GraphStore, model_id: str) -> pl.DataFrame:
    columns = ["source", "target", "score", "rank"]
    batches = [
        pl.DataFrame(pl.from_arrow(batch)).filter(pl.col("model") == model_id).select(columns)
        for batch in store.read_relationships(RECOMMENDED, ["score", "rank", "model"])
    ]
    types = {"source": pl.String, "target": pl.String, "score": pl.Float64, "rank": pl.Int64}
    return pl.concat(batches) if batches else pl.DataFrame(schema=types)
