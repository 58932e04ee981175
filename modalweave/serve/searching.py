"""Finding items, people and entities: by words in the graph, by a sentence's meaning, by a picture or a sound."""

from typing import LiteralString

from graph.store import GraphStore
from modalweave.config import RunConfig
from modalweave.serve.answers import Fact, Found, Person
from modalweave.serve.items import ranked

_TITLES: LiteralString = """
MATCH (i:Item) WHERE toLower(i.title) CONTAINS $word OR i.id = $exact
RETURN i.id AS id, i.title AS title LIMIT $most"""
_TEXTS: LiteralString = """
MATCH (i:Item)-[:HAS_TEXT]->(m:Text) WHERE toLower(m.content) CONTAINS $word
RETURN DISTINCT i.id AS id LIMIT $most"""
_USERS: LiteralString = "MATCH (u:User) WHERE u.id STARTS WITH $exact RETURN u.id AS id ORDER BY id LIMIT 10"
_ENTITIES: LiteralString = """
MATCH (e:Entity) WHERE toLower(e.name) CONTAINS $word OR e.id = $exact
RETURN e.id AS id, e.name AS name, e.type AS type ORDER BY name, id LIMIT 10"""
_SEARCHES = {"text": "similar-texts", "image": "similar-images", "audio": "similar-sounds"}


def by_words(store: GraphStore, words: str, k: int) -> Found:
    """Items with the words in their title, then in their texts; people by the beginning of their id; entities."""
    given = {"word": words.lower(), "exact": words, "most": 50 * k}
    titled = store.query(_TITLES, given).to_pylist()
    # the shorter a title, the more of it is what was asked for
    best = sorted(titled, key=lambda row: (row["id"] != words, len(row["title"] or ""), row["id"]))
    items = [(row["id"], 1.0) for row in best]
    if len(items) < k:
        there = {item for item, _ in items}
        items += [(row["id"], 0.5) for row in store.query(_TEXTS, given).to_pylist() if row["id"] not in there]
    return Found(
        by="words",
        items=ranked(store, items[:k]),
        users=[Person(**row) for row in store.query(_USERS, {"exact": words}).to_pylist()],
        entities=[
            Fact(relation="", **row)
            for row in store.query(_ENTITIES, {"word": words.lower(), "exact": words}).to_pylist()
        ],
    )


def by_meaning(store: GraphStore, config: RunConfig | None, modality: str, given: dict[str, str], k: int) -> Found:
    """Items whose media of a modality come nearest to `text`, or to the file of a `picture` or `sound`.

    Raises `GraphError` where the encoder of the graph's vectors takes no such query, `EncoderError` and `RunError`
    for what cannot be read.
    """
    from modalweave.explore.similarity_search import search

    rows = search(store, _SEARCHES[modality], {**given, "limit": str(k)}, config).to_pylist()
    return Found(by=modality, items=ranked(store, [(row["item"], row["score"]) for row in rows]))
