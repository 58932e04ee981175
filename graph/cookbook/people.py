"""Cookbook: questions about people, their choices and what they were recommended.

A user meets an item by one INTERACTED at most, so that rows are counted, and nodes rather than ids told apart: a full
count over a million of them takes half the time.
"""

from graph.cookbook.recipe import Recipe

_USER = {"user": None}
_TOP = {"limit": 20}

PEOPLE: tuple[Recipe, ...] = (
    Recipe(
        "user-history",
        "What a user chose, with weight, time and split.",
        """
MATCH (u:User)-[r:INTERACTED]->(i:Item) WHERE u.id = $user
RETURN i.id AS item, i.title AS title, r.weight AS weight, r.timestamp AS timestamp, r.split AS split
ORDER BY item LIMIT $limit""",
        {**_USER, "limit": 1000},
        ("item", "title", "weight", "timestamp", "split"),
    ),
    Recipe(
        "user-taste",
        "The entities most frequent in a user's training history, by relation.",
        """
MATCH (u:User)-[c:INTERACTED]->(i:Item)-[r:RELATED]->(e:Entity) WHERE u.id = $user AND c.split = 'train'
RETURN r.relation AS relation, e.id AS entity, count(DISTINCT i.id) AS items
ORDER BY items DESC, relation, entity LIMIT $limit""",
        {**_USER, **_TOP},
        ("relation", "entity", "items"),
    ),
    Recipe(
        "user-modalities",
        "How much of a user's training history has a picture, a text, a sound.",
        """
OPTIONAL MATCH (u:User)-[r:INTERACTED]->(i:Item) WHERE u.id = $user AND r.split = 'train'
RETURN 'all' AS modality, count(DISTINCT i.id) AS items
UNION ALL
OPTIONAL MATCH (u:User)-[r:INTERACTED]->(i:Item)-[:HAS_IMAGE]->(:Image) WHERE u.id = $user AND r.split = 'train'
RETURN 'image' AS modality, count(DISTINCT i.id) AS items
UNION ALL
OPTIONAL MATCH (u:User)-[r:INTERACTED]->(i:Item)-[:HAS_TEXT]->(:Text) WHERE u.id = $user AND r.split = 'train'
RETURN 'text' AS modality, count(DISTINCT i.id) AS items
UNION ALL
OPTIONAL MATCH (u:User)-[r:INTERACTED]->(i:Item)-[:HAS_AUDIO]->(:Audio) WHERE u.id = $user AND r.split = 'train'
RETURN 'audio' AS modality, count(DISTINCT i.id) AS items""",
        _USER,
        ("modality", "items"),
    ),
    Recipe(
        "user-overlap",
        "The people who chose most of the same items in training, and how many they chose in all.",
        """
MATCH (u:User)-[a:INTERACTED]->(i:Item)<-[b:INTERACTED]-(o:User)
WHERE u.id = $user AND o.id <> u.id AND a.split = 'train' AND b.split = 'train'
WITH o, count(*) AS shared
MATCH (o)-[c:INTERACTED]->(j:Item) WHERE c.split = 'train'
WITH o, shared, count(*) AS chosen
RETURN o.id AS user, shared, chosen ORDER BY shared DESC, chosen, user LIMIT $limit""",
        {**_USER, **_TOP},
        ("user", "shared", "chosen"),
    ),
    Recipe(
        "co-interaction",
        "What the people who chose an item chose as well.",
        """
MATCH (i:Item)<-[a:INTERACTED]-(u:User)-[b:INTERACTED]->(o:Item)
WHERE i.id = $item AND o.id <> i.id AND a.split = 'train' AND b.split = 'train'
WITH o, count(*) AS users
RETURN o.id AS item, users ORDER BY users DESC, item LIMIT $limit""",
        {"item": None, **_TOP},
        ("item", "users"),
    ),
    Recipe(
        "active-users",
        "The users with the most choices in training.",
        """
MATCH (u:User)-[r:INTERACTED]->(i:Item) WHERE r.split = 'train'
WITH u, count(*) AS items
RETURN u.id AS user, items ORDER BY items DESC, user LIMIT $limit""",
        _TOP,
        ("user", "items"),
    ),
    Recipe(
        "friends-choices",
        "What the people a user follows chose and the user did not.",
        """
MATCH (u:User)-[:FOLLOWS]->(f:User)-[r:INTERACTED]->(i:Item)
WHERE u.id = $user AND r.split = 'train' AND NOT EXISTS { MATCH (u)-[:INTERACTED]->(i) }
RETURN i.id AS item, count(DISTINCT f.id) AS friends ORDER BY friends DESC, item LIMIT $limit""",
        {**_USER, **_TOP},
        ("item", "friends"),
    ),
    Recipe(
        "splits",
        "How many choices, users and items each split holds.",
        """
MATCH (u:User)-[r:INTERACTED]->(i:Item)
RETURN r.split AS split, count(*) AS choices, count(DISTINCT u) AS users, count(DISTINCT i) AS items
ORDER BY choices DESC, split""",
        {},
        ("split", "choices", "users", "items"),
    ),
    Recipe(
        "recommendations",
        "What a user was recommended, by which model.",
        """
MATCH (u:User)-[r:RECOMMENDED]->(i:Item) WHERE u.id = $user
RETURN r.model AS model, r.rank AS rank, i.id AS item, r.score AS score ORDER BY model, rank, item LIMIT $limit""",
        {**_USER, **_TOP},
        ("model", "rank", "item", "score"),
    ),
    Recipe(
        "recommendation-grounds",
        "Entities that tie what a user was recommended to what the user chose in training.",
        """
MATCH (u:User)-[r:RECOMMENDED]->(i:Item)-[a:RELATED]->(e:Entity)<-[b:RELATED]-(h:Item)<-[c:INTERACTED]-(u)
WHERE u.id = $user AND c.split = 'train' AND h.id <> i.id
RETURN r.model AS model, i.id AS item, e.id AS entity, count(DISTINCT h.id) AS chosen
ORDER BY model, item, chosen DESC, entity LIMIT $limit""",
        {**_USER, **_TOP},
        ("model", "item", "entity", "chosen"),
    ),
    Recipe(
        "recommended-most",
        "The items recommended to the most people, beside how many chose them in training.",
        """
MATCH (u:User)-[r:RECOMMENDED]->(i:Item)
WITH i, r.model AS model, count(DISTINCT u.id) AS recommended
OPTIONAL MATCH (o:User)-[c:INTERACTED]->(i) WHERE c.split = 'train'
RETURN model, i.id AS item, recommended, count(DISTINCT o.id) AS chosen
ORDER BY recommended DESC, model, item LIMIT $limit""",
        _TOP,
        ("model", "item", "recommended", "chosen"),
    ),
    Recipe(
        "poorly-grounded",
        "Recommendations with no shared entity and no alike picture, text or sound in the user's history.",
        """
MATCH (u:User)-[r:RECOMMENDED]->(i:Item)
WHERE NOT EXISTS { MATCH (u)-[:INTERACTED]->(:Item)-[:RELATED]->(:Entity)<-[:RELATED]-(i) }
  AND NOT EXISTS { MATCH (u)-[:INTERACTED]->(:Item)-[:HAS_IMAGE]->(:Image)-[:SIMILAR]->(:Image)<-[:HAS_IMAGE]-(i) }
  AND NOT EXISTS { MATCH (u)-[:INTERACTED]->(:Item)-[:HAS_TEXT]->(:Text)-[:SIMILAR]->(:Text)<-[:HAS_TEXT]-(i) }
  AND NOT EXISTS { MATCH (u)-[:INTERACTED]->(:Item)-[:HAS_AUDIO]->(:Audio)-[:SIMILAR]->(:Audio)<-[:HAS_AUDIO]-(i) }
RETURN u.id AS user, i.id AS item, r.model AS model, r.score AS score ORDER BY user, item, model LIMIT $limit""",
        _TOP,
        ("user", "item", "model", "score"),
    ),
)
"""Recipes that start from users."""
