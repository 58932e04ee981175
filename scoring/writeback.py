"""Scored links back into the graph, as RECOMMENDED relationships that name their model."""

import hashlib
import io
import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import polars as pl
from pydantic import BaseModel, ValidationError

from common.progress import Progress
from graph.schema import EdgeType
from graph.store import GraphStore, without_password
from scoring.errors import ScoringError, Stopped
from scoring.folders import Folder, open_folder

RECOMMENDED = EdgeType("User", "RECOMMENDED", "Item")
UNDER_WAY = "_write_back.json"
"""Beside the parts while they are written: what a later call goes on with."""
_KEYS = ["source", "target", "model"]

_ROWS = 1_000_000
"""Links handed to the store at once: it compares each batch with all it holds, so few and large ones are fast."""


class _UnderWay(BaseModel, extra="forbid"):
    store: str
    manifest: str
    """SHA-256: the parts that are written."""
    created: str


def write_back(
    store: GraphStore,
    scores: Path | str,
    *,
    model_id: str,
    created: str,
    stop: Callable[[], bool] = lambda: False,
    progress: Progress | None = None,
) -> int:
    """Make the parts of a finished job the model's links of their users; returns how many links changed or went.

    A user's new list and the end of the old one are one transaction. Users outside the job keep what they have, and
    so do other models. A link that the store already holds for this model with equal rank and score keeps its
    `created`, so the same parts twice write nothing. A call that was cut off is gone on with by the next one of the
    same parts into the same store: what is there already is not written again, and the rest gets the first call's
    `created`, so that the graph is that of a call that was not.

    Args:
        store: an open, writable store with the schema of `graph.schema`.
        scores: the folder of `run_job`, or its address.
        model_id: stored as `model`; each model has its own links.
        created: ISO 8601 time, stored as is.
        stop: asked after each batch; where it says yes, writing ends there.
        progress: called with (parts done, parts in all).

    Raises:
        ScoringError: the folder has no manifest, so the job is not finished, or lacks a part.
        Stopped: `stop` said yes; the same call goes on.
    """
    from scoring.journal import finished

    out = open_folder(scores)
    record = finished(out)
    if (form := record.options.get("format", "parquet")) != "parquet":
        raise ScoringError(f"{scores}: its parts are {form}; links are written from parquet")
    created = _begun(out, store, json.dumps(record.model_dump(), sort_keys=True), created)
    present = _links(store).filter(model=model_id)
    changed = 0
    waiting: list[pl.DataFrame] = []
    for done, name in enumerate(record.parts, start=1):
        waiting.append(_part(out, name).filter(~pl.col("source").is_in(record.unknown)))  # no users of the graph
        if sum(map(len, waiting)) >= _ROWS or done == len(record.parts):
            links = pl.concat(waiting)
            waiting.clear()
            news = links.join(present, on=["source", "target", "score", "rank"], how="anti")
            stale = present.join(links, on="source", how="semi").join(links, on=["source", "target"], how="anti")
            if len(news) or len(stale):
                named = news.with_columns(model=pl.lit(model_id), created=pl.lit(created))
                changed += store.replace_relationships(RECOMMENDED, named.to_arrow(), stale.select(_KEYS).to_arrow())
            if stop() and done < len(record.parts):
                raise Stopped(f"{scores}: {done} of {len(record.parts)} parts are written back; the same call goes on")
        if progress:
            progress(done, len(record.parts))
    out.remove(UNDER_WAY)
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


def _begun(out: Folder, store: GraphStore, manifest: str, created: str) -> str:
    """`created` of the call that began to write these parts into this store: an earlier one that was cut off, or
    this one, which is noted."""
    digest = hashlib.sha256(manifest.encode()).hexdigest()
    mine = _UnderWay(store=without_password(store.address), manifest=digest, created=created)
    with suppress(ValidationError):  # none, or of something else
        earlier = _UnderWay.model_validate_json(out.read(UNDER_WAY) or b"")
        if (earlier.store, earlier.manifest) == (mine.store, digest):
            return earlier.created
    out.write(UNDER_WAY, mine.model_dump_json(indent=2).encode())
    return created


def _part(out: Folder, name: str) -> pl.DataFrame:
    content = out.read(name)
    if content is None:
        raise ScoringError(f"{out}: lacks {name}; run the job again, which makes it anew")
    columns = {"source": pl.col("user_id"), "target": pl.col("item_id")}
    return pl.read_parquet(io.BytesIO(content)).select(
        **columns, score=pl.col("score").cast(pl.Float64), rank=pl.col("rank").cast(pl.Int64)
    )


def _links(store: GraphStore) -> pl.DataFrame:
    batches = [pl.DataFrame(b) for b in store.read_relationships(RECOMMENDED, ["score", "rank", "model"])]
    types = {"source": pl.String, "target": pl.String, "score": pl.Float64, "rank": pl.Int64, "model": pl.String}
    return pl.concat(batches) if batches else pl.DataFrame(schema=types)
