"""The queries behind `graph.views.paths`: literal Cypher in the subset that both stores run.

Every query takes `$user`, `$item` and `$limit`; only train interactions count, and rows come best first.
"""

from collections.abc import Mapping
from typing import LiteralString

SHARED: Mapping[str, LiteralString] = {
    "text": """
MATCH (u:User {id: $user})-[r:INTERACTED]->(a:Item)-[:HAS_TEXT]->(m:Text)<-[:HAS_TEXT]-(b:Item {id: $item})
WHERE r.split = 'train' AND a.id <> b.id
RETURN DISTINCT a.id AS history, a.title AS history_title, m.id AS media, m.content AS media_title
ORDER BY history, media LIMIT $limit""",
    "image": """
MATCH (u:User {id: $user})-[r:INTERACTED]->(a:Item)-[:HAS_IMAGE]->(m:Image)<-[:HAS_IMAGE]-(b:Item {id: $item})
WHERE r.split = 'train' AND a.id <> b.id
RETURN DISTINCT a.id AS history, a.title AS history_title, m.id AS media, m.uri AS media_title
ORDER BY history, media LIMIT $limit""",
    "audio": """
MATCH (u:User {id: $user})-[r:INTERACTED]->(a:Item)-[:HAS_AUDIO]->(m:Audio)<-[:HAS_AUDIO]-(b:Item {id: $item})
WHERE r.split = 'train' AND a.id <> b.id
RETURN DISTINCT a.id AS history, a.title AS history_title, m.id AS media, m.uri AS media_title
ORDER BY history, media LIMIT $limit""",
}
"""Modality -> history item and recommended item carry one and the same media node."""

SIMILAR: Mapping[str, LiteralString] = {
    "text": """
MATCH (b:Item {id: $item})-[:HAS_TEXT]->(n:Text)-[s:SIMILAR]-(m:Text)
WITH b, n, m, max(s.score) AS score
MATCH (m)<-[:HAS_TEXT]-(a:Item)<-[r:INTERACTED]-(u:User {id: $user})
WHERE r.split = 'train' AND a.id <> b.id
RETURN DISTINCT a.id AS history, a.title AS history_title, m.id AS media, m.content AS media_title,
       n.id AS other, n.content AS other_title, score
ORDER BY score DESC, history, media, other LIMIT $limit""",
    "image": """
MATCH (b:Item {id: $item})-[:HAS_IMAGE]->(n:Image)-[s:SIMILAR]-(m:Image)
WITH b, n, m, max(s.score) AS score
MATCH (m)<-[:HAS_IMAGE]-(a:Item)<-[r:INTERACTED]-(u:User {id: $user})
WHERE r.split = 'train' AND a.id <> b.id
RETURN DISTINCT a.id AS history, a.title AS history_title, m.id AS media, m.uri AS media_title,
       n.id AS other, n.uri AS other_title, score
ORDER BY score DESC, history, media, other LIMIT $limit""",
    "audio": """
MATCH (b:Item {id: $item})-[:HAS_AUDIO]->(n:Audio)-[s:SIMILAR]-(m:Audio)
WITH b, n, m, max(s.score) AS score
MATCH (m)<-[:HAS_AUDIO]-(a:Item)<-[r:INTERACTED]-(u:User {id: $user})
WHERE r.split = 'train' AND a.id <> b.id
RETURN DISTINCT a.id AS history, a.title AS history_title, m.id AS media, m.uri AS media_title,
       n.id AS other, n.uri AS other_title, score
ORDER BY score DESC, history, media, other LIMIT $limit""",
}
"""Modality -> a history item's media is a nearest neighbour of the recommended item's."""

ENTITY: LiteralString = """
MATCH (u:User {id: $user})-[r:INTERACTED]->(a:Item)-[p:RELATED]->(e:Entity)<-[q:RELATED]-(b:Item {id: $item})
WHERE r.split = 'train' AND a.id <> b.id
WITH DISTINCT a, e, p.relation AS relation, q.relation AS item_relation
MATCH (x:Item)-[:RELATED]->(e)
RETURN a.id AS history, a.title AS history_title, e.id AS entity, e.name AS entity_title,
       relation, item_relation, count(DISTINCT x) AS degree
ORDER BY degree, history, entity, relation, item_relation LIMIT $limit"""
"""Both items are related to one entity; `degree` is how many items are."""

USER: LiteralString = """
MATCH (b:Item {id: $item})<-[t:INTERACTED]-(v:User)
WHERE t.split = 'train' AND v.id <> $user
WITH DISTINCT v
MATCH (v)-[s:INTERACTED]->(a:Item)<-[r:INTERACTED]-(u:User {id: $user})
WHERE s.split = 'train' AND r.split = 'train' AND a.id <> $item
WITH DISTINCT a, v
MATCH (v)-[w:INTERACTED]->(x:Item)
WHERE w.split = 'train'
WITH a, v, count(*) AS degree
RETURN a.id AS history, a.title AS history_title, v.id AS other, degree
ORDER BY degree, history, other LIMIT $limit"""
"""Another user chose both items; `degree` is how many items that user chose."""


def _shown(middle: LiteralString) -> LiteralString:
    return (
        "MATCH p = (u:User {id: $user})-[r:INTERACTED]->(a:Item)" + middle + "(b:Item {id: $item})\n"
        "WHERE r.split = 'train' AND a.id IN $history AND a.id <> b.id\n"
        "RETURN p LIMIT 100"
    )


SHOW_SHARED: Mapping[str, LiteralString] = {
    "text": _shown("-[:HAS_TEXT]->(:Text)<-[:HAS_TEXT]-"),
    "image": _shown("-[:HAS_IMAGE]->(:Image)<-[:HAS_IMAGE]-"),
    "audio": _shown("-[:HAS_AUDIO]->(:Audio)<-[:HAS_AUDIO]-"),
}
SHOW_SIMILAR: Mapping[str, LiteralString] = {
    "text": _shown("-[:HAS_TEXT]->(:Text)-[:SIMILAR]-(:Text)<-[:HAS_TEXT]-"),
    "image": _shown("-[:HAS_IMAGE]->(:Image)-[:SIMILAR]-(:Image)<-[:HAS_IMAGE]-"),
    "audio": _shown("-[:HAS_AUDIO]->(:Audio)-[:SIMILAR]-(:Audio)<-[:HAS_AUDIO]-"),
}
SHOW_ENTITY: LiteralString = _shown("-[:RELATED]->(:Entity)<-[:RELATED]-")
SHOW_USER: LiteralString = _shown("<-[s:INTERACTED {split: 'train'}]-(v:User)-[t:INTERACTED {split: 'train'}]->")
"""The same as whole paths, for a picture or Neo4j Browser: `$history` names the history's items to start from."""

HAS_ANY: Mapping[str, LiteralString] = {
    "text": "MATCH (b:Item {id: $item})-[:HAS_TEXT]->(m:Text) RETURN m.id AS id LIMIT 1",
    "image": "MATCH (b:Item {id: $item})-[:HAS_IMAGE]->(m:Image) RETURN m.id AS id LIMIT 1",
    "audio": "MATCH (b:Item {id: $item})-[:HAS_AUDIO]->(m:Audio) RETURN m.id AS id LIMIT 1",
}
"""Modality -> whether the item has any: a tenth of the work of the two queries that then find nothing."""

FIND_USER: LiteralString = "MATCH (u:User {id: $user}) RETURN u.id AS id"
FIND_ITEM: LiteralString = "MATCH (i:Item {id: $item}) RETURN i.title AS title"
COUNT_ITEMS: LiteralString = "MATCH (i:Item) RETURN count(i) AS items"
