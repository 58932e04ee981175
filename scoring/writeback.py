"""Scored links back into the graph, as RECOMMENDED relationships that name their model."""

import json
from pathlib import Path

import polars as pl

from common.progress import Progress
from graph.schema import EdgeType
from graph.store import GraphStore
from scoring.errors import ScoringError

RECOMMENDED = EdgeType("User", "RECOMMENDED", "Item")
_KEYS = ["source", "target", "model"]

_ROWS = 1_000_000
"""Links handed to the store at once: it compares each batch with all it holds, so few and large ones are fast."""


def write_back(
    store: GraphStore,
    scores: Path,
    *,
    model_id: str,
    created: str,
    progress: Progress | None = None,
) -> int:
    """Make the parts of a finished job the model's links of their users; returns how many links changed or went.

    A user's new list and the end of the old one are one transaction. Users outside the job keep what they have, and
    so do other models. A link that the store already holds for this model with equal rank and score keeps its
    `created`, so the same parts twice write nothing.

    Args:
        store: an open, writable store with the schema of `graph.schema`.
        scores: the folder of `run_job`.
        model_id: stored as `model`; each model has its own links.
        created: ISO 8601 time, stored as is.
        progress: called with (parts done, parts in all).

    Raises:
        ScoringError: the folder has no manifest, so the job is not finished.
    """
    from scoring.journal import MANIFEST

    if not (scores / MANIFEST).is_file():
        raise ScoringError(f"{scores}: no {MANIFEST}, so the job is not finished; run it again to the end")
    record = json.loads((scores / MANIFEST).read_bytes())
    if record["options"].get("format", "parquet") != "parquet":
        raise ScoringError(f"{scores}: its parts are {record['options']['format']}; links are written from parquet")
    unknown = record.get("unknown", [])  # no user of the graph
    parts = sorted(scores.glob("part-*.parquet"))
    present = _links(store).filter(model=model_id)
    changed = 0
    waiting: list[pl.DataFrame] = []
    for done, path in enumerate(parts, start=1):
        waiting.append(_part(path).filter(~pl.col("source").is_in(unknown)))
        if sum(map(len, waiting)) >= _ROWS or done == len(parts):
            links = pl.concat(waiting)
            waiting.clear()
            news = links.join(present, on=["source", "target", "score", "rank"], how="anti")
            stale = present.join(links, on="source", how="semi").join(links, on=["source", "target"], how="anti")
            if len(news) or len(stale):
                named = news.with_columns(model=pl.lit(model_id), created=pl.lit(created))
                changed += store.replace_relationships(RECOMMENDED, named.to_arrow(), stale.select(_KEYS).to_arrow())
        if progress:
            progress(done, len(parts))
    return changed


def retract(store: GraphStore, model_id: str) -> int:
    """Delete all links of a model; returns how many there were. Other models' links stay.

    Raises `ScoringError` that lists the models where this one has no link.
    """
    links = _links(store)
    mine = links.filter(model=model_id).select(_KEYS)
    if not len(mine):
        others = ", ".join(links["model"].drop_nulls().unique().sort().to_list()[:5]) or "no model at all"
        raise ScoringError(f"{store.address} has no links of model {model_id!r}; it has those of {others}")
    return store.replace_relationships(RECOMMENDED, mine.clear().to_arrow(), mine.to_arrow())


def _part(path: Path) -> pl.DataFrame:
    columns = {"source": pl.col("user_id"), "target": pl.col("item_id")}
    return pl.read_parquet(path).select(
        **columns, score=pl.col("score").cast(pl.Float64), rank=pl.col("rank").cast(pl.Int64)
    )


def _links(store: GraphStore) -> pl.DataFrame:
    batches = [pl.DataFrame(b) for b in store.read_relationships(RECOMMENDED, ["score", "rank", "model"])]
    types = {"source": pl.String, "target": pl.String, "score": pl.Float64, "rank": pl.Int64, "model": pl.String}
    return pl.concat(batches) if batches else pl.DataFrame(schema=types)
