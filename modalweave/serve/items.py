"""What the graph holds of an item."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, LiteralString

from graph.cookbook.similarity_search import item_vectors, similar_items
from graph.schema import MODALITIES
from graph.store import GraphStore
from modalweave.serve.answers import Alike, Card, Chooser, Fact, ItemAnswer, Medium, Ranked
from modalweave.serve.queries import MOST_SHOWN, by_month, cards, ordered, properties

_ITEM: LiteralString = "MATCH (i:Item) WHERE i.id = $item RETURN i"
_MEDIA: Mapping[str, LiteralString] = {
    "text": """
MATCH (i:Item)-[h:HAS_TEXT]->(m:Text) WHERE i.id = $item
RETURN m.id AS id, h.role AS role, h.position AS position, m.uri AS uri, m.content AS content, m.lang AS lang,
m.model AS model""",
    "image": """
MATCH (i:Item)-[h:HAS_IMAGE]->(m:Image) WHERE i.id = $item
RETURN m.id AS id, h.role AS role, h.position AS position, m.uri AS uri, m.width AS width, m.height AS height""",
    "audio": """
MATCH (i:Item)-[h:HAS_AUDIO]->(m:Audio) WHERE i.id = $item
RETURN m.id AS id, h.role AS role, h.position AS position, m.uri AS uri, m.duration AS duration,
m.sample_rate AS sample_rate""",
}
_FACTS: LiteralString = """
MATCH (i:Item)-[r:RELATED]->(e:Entity) WHERE i.id = $item
RETURN r.relation AS relation, e.id AS id, e.name AS name, e.type AS type, r.model AS model, r.evidence AS evidence
ORDER BY relation, id LIMIT $limit"""
_CHOOSERS: LiteralString = """
MATCH (u:User)-[r:INTERACTED]->(i:Item) WHERE i.id = $item
RETURN u.id AS id, r.weight AS weight, r.timestamp AS timestamp, r.split AS split"""
_RECOMMENDED: LiteralString = """
MATCH (u:User)-[r:RECOMMENDED]->(i:Item) WHERE i.id = $item
RETURN u.id AS id, min(r.rank) AS place ORDER BY place, id LIMIT $limit"""
_SIMILAR: Mapping[str, LiteralString] = {
    "text": """
MATCH (i:Item)-[:HAS_TEXT]->(:Text)-[s:SIMILAR]-(:Text)<-[:HAS_TEXT]-(o:Item)
WHERE i.id = $item AND o.id <> i.id RETURN o.id AS id, max(s.score) AS score ORDER BY score DESC, id LIMIT $limit""",
    "image": """
MATCH (i:Item)-[:HAS_IMAGE]->(:Image)-[s:SIMILAR]-(:Image)<-[:HAS_IMAGE]-(o:Item)
WHERE i.id = $item AND o.id <> i.id RETURN o.id AS id, max(s.score) AS score ORDER BY score DESC, id LIMIT $limit""",
    "audio": """
MATCH (i:Item)-[:HAS_AUDIO]->(:Audio)-[s:SIMILAR]-(:Audio)<-[:HAS_AUDIO]-(o:Item)
WHERE i.id = $item AND o.id <> i.id RETURN o.id AS id, max(s.score) AS score ORDER BY score DESC, id LIMIT $limit""",
}


def item_answer(store: GraphStore, item: str, *, shown: int = 12, neighbours: int = 8) -> ItemAnswer:
    """All of it; `NotThere` for an item that the graph does not hold."""
    found = properties(store, _ITEM, {"item": item}, f"item {item!r} is not in {store.address}")
    media = [medium for modality in MODALITIES for medium in _media(store, modality, item)]
    alike = {modality: _alike(store, modality, item, neighbours) for modality in {one.modality for one in media}}
    known = cards(store, [item, *(other for pairs in alike.values() for other, _ in pairs)])
    choosers = store.query(_CHOOSERS, {"item": item}, limit=1_000_000).to_pylist()
    recommended = store.query(_RECOMMENDED, {"item": item, "limit": shown}).to_pylist()
    return ItemAnswer(
        id=item,
        title=known[item].title,
        picture=known[item].picture,
        attributes={name: value for name, value in found.items() if name not in ("id", "title")},
        media=media,
        facts=[Fact(**row) for row in store.query(_FACTS, {"item": item, "limit": MOST_SHOWN}).to_pylist()],
        alike=[Alike(modality=m, items=_placed(known, alike[m])) for m in MODALITIES if alike.get(m)],
        chosen=len(choosers),
        choosers=[Chooser(**row) for row in ordered(choosers, "timestamp")[:shown]],
        months=by_month(row["timestamp"] for row in choosers),
        recommended_to=[row["id"] for row in recommended],
    )


def similar_in(store: GraphStore, modality: str, item: str, k: int) -> list[Ranked]:
    """The `k` items whose media of a modality are most alike, every one of the catalogue compared.

    Raises `GraphError` for an item that is missing or has none.
    """
    found = similar_items(store, modality, item_vectors(store, modality, item), limit=k, leave_out=item).to_pylist()
    return ranked(store, [(row["item"], row["score"]) for row in found])


def ranked(store: GraphStore, pairs: list[tuple[str, float]]) -> list[Ranked]:
    """Items and scores, best first, with their titles and pictures."""
    return _placed(cards(store, [item for item, _ in pairs]), pairs)


def _placed(known: Mapping[str, Card], pairs: Sequence[tuple[str, float]]) -> list[Ranked]:
    return [
        Ranked(**known[item].model_dump(), rank=place, score=score)
        for place, (item, score) in enumerate(pairs, 1)
        if item in known
    ]


def _media(store: GraphStore, modality: str, item: str) -> Iterator[Medium]:
    rows: list[dict[str, Any]] = store.query(_MEDIA[modality], {"item": item}, limit=MOST_SHOWN).to_pylist()
    for row in sorted(rows, key=lambda row: (row["position"] is None, row["position"] or 0, row["id"])):
        named = {name: row.pop(name, None) for name in ("id", "role", "uri", "content", "position", "model")}
        del named["position"]
        yield Medium(
            modality=modality, **named, facts={name: value for name, value in row.items() if value is not None}
        )


def _alike(store: GraphStore, modality: str, item: str, limit: int) -> list[tuple[str, float]]:
    """By the links between media, which the build made: no vector is compared."""
    rows = store.query(_SIMILAR[modality], {"item": item, "limit": limit}).to_pylist()
    return [(row["id"], row["score"]) for row in rows]
