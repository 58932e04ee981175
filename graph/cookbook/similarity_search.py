"""Named searches by similarity: items whose media resemble an item's, or a vector encoded on the spot.

A search is no one query: Neo4j's vector index and faiss over the embedded store answer it with the same rows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, LiteralString

import pyarrow as pa

from graph.cookbook.recipe import Value
from graph.errors import GraphError
from graph.schema import MEDIA_LABELS
from graph.store import GraphStore

if TYPE_CHECKING:
    import polars as pl

    from graph.cookbook.nearest_media import Vector


@dataclass(frozen=True)
class Search:
    """A search in one modality; exactly one parameter besides `limit` says what for."""

    name: str
    description: str
    modality: str
    parameters: Mapping[str, Value | None] = field(
        default_factory=lambda: {"item": None, "text": None, "picture": None, "sound": None, "limit": 20}
    )
    columns: tuple[str, ...] = ("item", "title", "media", "score")

    def wanted(self, given: Mapping[str, str | int | float]) -> tuple[str, str, int]:
        """Which parameter says what to search for, its value, and the limit; `GraphError` where they do not fit."""
        unknown = [name for name in given if name not in self.parameters]
        if unknown:
            known = ", ".join(self.parameters)
            raise GraphError(f"{self.name}: parameter {unknown[0]!r} is unknown; it takes {known}")
        sought = [name for name in given if name != "limit"]
        if len(sought) != 1:
            found = f"got {' and '.join(sought)}" if sought else "got none"
            raise GraphError(f"{self.name}: give one of item, text, picture, sound ({found})")
        try:
            limit = int(given.get("limit", 20))
        except ValueError:
            raise GraphError(f"{self.name}: parameter 'limit' is {given['limit']!r}; give a whole number") from None
        if not 0 < limit <= _MOST:
            raise GraphError(f"{self.name}: parameter 'limit' is {limit}; give 1 to {_MOST:,}")
        return sought[0], str(given[sought[0]]), limit


_MOST = 10_000
_BY = "by item, text, picture or sound."

SEARCHES: Mapping[str, Search] = {
    search.name: search
    for search in (
        Search("similar-images", f"Items whose pictures are most like what is given, {_BY}", "image"),
        Search("similar-sounds", f"Items whose sounds are most like what is given, {_BY}", "audio"),
        Search("similar-texts", f"Items whose texts are most like what is given, {_BY}", "text"),
    )
}
"""Name -> search."""

_VECTORS: Mapping[str, LiteralString] = {
    "text": "MATCH (i:Item)-[:HAS_TEXT]->(m:Text) WHERE i.id = $item RETURN m.id AS id, m.embedding AS vector",
    "image": "MATCH (i:Item)-[:HAS_IMAGE]->(m:Image) WHERE i.id = $item RETURN m.id AS id, m.embedding AS vector",
    "audio": "MATCH (i:Item)-[:HAS_AUDIO]->(m:Audio) WHERE i.id = $item RETURN m.id AS id, m.embedding AS vector",
}
_OWNERS: Mapping[str, LiteralString] = {
    "text": "MATCH (i:Item)-[:HAS_TEXT]->(m:Text) WHERE m.id IN $media RETURN i.id AS item, i.title AS title, "
    "m.id AS media",
    "image": "MATCH (i:Item)-[:HAS_IMAGE]->(m:Image) WHERE m.id IN $media RETURN i.id AS item, i.title AS title, "
    "m.id AS media",
    "audio": "MATCH (i:Item)-[:HAS_AUDIO]->(m:Audio) WHERE m.id IN $media RETURN i.id AS item, i.title AS title, "
    "m.id AS media",
}
_ENCODER_OF: Mapping[str, LiteralString] = {
    "text": "MATCH (m:Text) WHERE m.embedding IS NOT NULL RETURN m.encoder AS encoder, count(m.id) AS nodes",
    "image": "MATCH (m:Image) WHERE m.embedding IS NOT NULL RETURN m.encoder AS encoder, count(m.id) AS nodes",
    "audio": "MATCH (m:Audio) WHERE m.embedding IS NOT NULL RETURN m.encoder AS encoder, count(m.id) AS nodes",
}
_ITEM: LiteralString = "MATCH (i:Item) WHERE i.id = $item RETURN i.id AS id"
_FOUND = pa.schema([("item", pa.string()), ("title", pa.string()), ("media", pa.string()), ("score", pa.float64())])


def stored_encoder(store: GraphStore, modality: str) -> str | None:
    """The fingerprint of the encoder that most vectors of a modality come from; None where there is no vector."""
    rows = store.query(_ENCODER_OF[modality]).to_pylist()
    return str(max(rows, key=lambda row: (row["nodes"], str(row["encoder"])))["encoder"]) if rows else None


def item_vectors(store: GraphStore, modality: str, item: str) -> list["Vector"]:
    """The vectors of an item's media of one modality, each once, in the order of their ids.

    Raises `GraphError` for an item that is missing or has none.
    """
    rows = store.query(_VECTORS[modality], {"item": item}).to_pylist()
    vectors = {row["id"]: row["vector"] for row in rows if row["vector"] is not None}
    if not vectors:
        if not store.query(_ITEM, {"item": item}).num_rows:
            raise GraphError(f"item {item!r} is not in {store.address}; give an id of the items table")
        raise GraphError(f"item {item!r} has no {modality} with a vector; search by another modality")
    return [vectors[key] for key in sorted(vectors)]


def similar_items(
    store: GraphStore, modality: str, vectors: Sequence["Vector"], *, limit: int, leave_out: str | None = None
) -> pa.Table:
    """The `limit` items whose media of a modality come nearest to any of the vectors: `item, title, media, score`.

    `media` is the item's nearest piece, `score` its cosine; best first, ties by id. `leave_out` is an item that
    is no answer: the one that is asked for.
    """
    import polars as pl

    from graph.cookbook.nearest_media import similar_to_vector

    label, wanted = MEDIA_LABELS[modality], limit + 10
    while True:
        near = [similar_to_vector(store, label, vector, wanted) for vector in vectors]
        scores = pl.concat([pl.DataFrame(pl.from_arrow(table)) for table in near]).group_by("id").agg(pl.max("score"))
        found = _items(store, modality, scores, leave_out)
        # several pieces of one item, or pieces of the item itself, may have filled the places: ask for more
        if found.height >= limit or all(table.num_rows < wanted for table in near) or wanted >= 4 * _MOST:
            return found.head(limit).to_arrow().cast(_FOUND)
        wanted *= 4


def _items(store: GraphStore, modality: str, scores: "pl.DataFrame", leave_out: str | None) -> "pl.DataFrame":
    import polars as pl

    owners = store.query(_OWNERS[modality], {"media": scores["id"].to_list()}, limit=100 * _MOST)
    table = pl.DataFrame(pl.from_arrow(owners.cast(_FOUND.remove(3)))).join(scores, left_on="media", right_on="id")
    if leave_out is not None:
        table = table.filter(pl.col("item") != leave_out)
    best = table.sort("score", "media", descending=[True, False]).unique("item", keep="first", maintain_order=True)
    return best.sort("score", "item", descending=[True, False]).select(_FOUND.names)
