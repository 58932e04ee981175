"""What the graph holds of a person."""

from collections import Counter
from typing import LiteralString

from graph.schema import MODALITIES
from graph.store import GraphStore
from modalweave.serve.answers import Choice, Counted, Taste, UserAnswer
from modalweave.serve.queries import cards, ordered, properties

_USER: LiteralString = "MATCH (u:User) WHERE u.id = $user RETURN u"
_HISTORY: LiteralString = """
MATCH (u:User)-[r:INTERACTED]->(i:Item) WHERE u.id = $user
RETURN i.id AS id, r.weight AS weight, r.timestamp AS timestamp, r.split AS split"""
_TASTE: LiteralString = """
MATCH (u:User)-[c:INTERACTED]->(i:Item)-[r:RELATED]->(e:Entity) WHERE u.id = $user AND c.split = 'train'
RETURN r.relation AS relation, e.id AS id, e.name AS name, count(DISTINCT i.id) AS count
ORDER BY count DESC, relation, id LIMIT $limit"""
_FRIENDS: LiteralString = (
    "MATCH (u:User)-[:FOLLOWS]->(f:User) WHERE u.id = $user RETURN f.id AS id ORDER BY id LIMIT 20"
)
_HAVE: dict[str, LiteralString] = {
    "text": "MATCH (i:Item)-[:HAS_TEXT]->(m:Text) WHERE i.id IN $items RETURN count(DISTINCT i.id) AS n",
    "image": "MATCH (i:Item)-[:HAS_IMAGE]->(m:Image) WHERE i.id IN $items RETURN count(DISTINCT i.id) AS n",
    "audio": "MATCH (i:Item)-[:HAS_AUDIO]->(m:Audio) WHERE i.id IN $items RETURN count(DISTINCT i.id) AS n",
}


def user_answer(store: GraphStore, user: str, *, known: bool | None = None, shown: int = 60) -> UserAnswer:
    """All of it; `NotThere` for a user that the graph does not hold."""
    found = properties(store, _USER, {"user": user}, f"user {user!r} is not in {store.address}")
    history = ordered(store.query(_HISTORY, {"user": user}, limit=1_000_000).to_pylist(), "timestamp")
    card = cards(store, [row["id"] for row in history[:shown]])
    train = [row["id"] for row in history if row["split"] == "train"]
    return UserAnswer(
        id=user,
        attributes={name: value for name, value in found.items() if name != "id"},
        chosen=len(history),
        history=[Choice(**{**row, **card[row["id"]].model_dump()}) for row in history[:shown]],
        modalities=_modalities(store, train),
        taste=[Taste(**row) for row in store.query(_TASTE, {"user": user, "limit": 12}).to_pylist()],
        friends=[row["id"] for row in store.query(_FRIENDS, {"user": user}).to_pylist()],
        known=known,
    )


def _modalities(store: GraphStore, items: list[str]) -> list[Counted]:
    counts = Counter({"all": len(items)})
    for modality in MODALITIES:
        counts[modality] = int(store.query(_HAVE[modality], {"items": items})["n"][0].as_py())
    return [Counted(name=name, count=counts[name]) for name in ("all", *MODALITIES)]
