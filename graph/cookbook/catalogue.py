"""Cookbook: questions about items, their media and entities."""

from graph.cookbook.recipe import Recipe

_ITEM = {"item": None}
_TOP = {"limit": 20}

CATALOGUE: tuple[Recipe, ...] = (
    Recipe(
        "item-neighbourhood",
        "Everything one step from an item: media, entities and the people who chose it.",
        """
MATCH (i:Item)-[r:HAS_IMAGE]->(m:Image) WHERE i.id = $item RETURN 'image' AS kind, m.id AS id, r.role AS detail
UNION ALL
MATCH (i:Item)-[r:HAS_TEXT]->(m:Text) WHERE i.id = $item RETURN 'text' AS kind, m.id AS id, r.role AS detail
UNION ALL
MATCH (i:Item)-[r:HAS_AUDIO]->(m:Audio) WHERE i.id = $item RETURN 'audio' AS kind, m.id AS id, r.role AS detail
UNION ALL
MATCH (i:Item)-[r:RELATED]->(e:Entity) WHERE i.id = $item
RETURN 'entity' AS kind, e.id AS id, r.relation AS detail
UNION ALL
MATCH (u:User)-[r:INTERACTED]->(i:Item) WHERE i.id = $item
RETURN 'user' AS kind, u.id AS id, r.split AS detail""",
        _ITEM,
        ("kind", "id", "detail"),
    ),
    Recipe(
        "alike-in-picture",
        "Items whose picture is like this item's, best first.",
        """
MATCH (i:Item)-[:HAS_IMAGE]->(a:Image)-[s:SIMILAR]->(b:Image)<-[:HAS_IMAGE]-(o:Item)
WHERE i.id = $item AND o.id <> i.id
RETURN o.id AS item, max(s.score) AS score ORDER BY score DESC, item LIMIT $limit""",
        {**_ITEM, **_TOP},
        ("item", "score"),
    ),
    Recipe(
        "alike-in-text",
        "Items whose text is like this item's, best first.",
        """
MATCH (i:Item)-[:HAS_TEXT]->(a:Text)-[s:SIMILAR]->(b:Text)<-[:HAS_TEXT]-(o:Item)
WHERE i.id = $item AND o.id <> i.id
RETURN o.id AS item, max(s.score) AS score ORDER BY score DESC, item LIMIT $limit""",
        {**_ITEM, **_TOP},
        ("item", "score"),
    ),
    Recipe(
        "alike-in-sound",
        "Items that sound like this item, best first.",
        """
MATCH (i:Item)-[:HAS_AUDIO]->(a:Audio)-[s:SIMILAR]->(b:Audio)<-[:HAS_AUDIO]-(o:Item)
WHERE i.id = $item AND o.id <> i.id
RETURN o.id AS item, max(s.score) AS score ORDER BY score DESC, item LIMIT $limit""",
        {**_ITEM, **_TOP},
        ("item", "score"),
    ),
    Recipe(
        "alike-in-picture-not-text",
        "Items that look like this item but read differently.",
        """
MATCH (i:Item)-[:HAS_IMAGE]->(a:Image)-[s:SIMILAR]->(b:Image)<-[:HAS_IMAGE]-(o:Item)
WHERE i.id = $item AND o.id <> i.id
  AND NOT EXISTS { MATCH (i)-[:HAS_TEXT]->(:Text)-[:SIMILAR]->(:Text)<-[:HAS_TEXT]-(o) }
RETURN o.id AS item, max(s.score) AS score ORDER BY score DESC, item LIMIT $limit""",
        {**_ITEM, **_TOP},
        ("item", "score"),
    ),
    Recipe(
        "bridged-by-sound",
        "Pairs of items that sound alike although nobody chose both: bridges between audiences.",
        """
MATCH (i:Item)-[:HAS_AUDIO]->(a:Audio)-[s:SIMILAR]->(b:Audio)<-[:HAS_AUDIO]-(o:Item)
WHERE i.id < o.id AND NOT EXISTS { MATCH (i)<-[:INTERACTED]-(:User)-[:INTERACTED]->(o) }
RETURN i.id AS item, o.id AS other, max(s.score) AS score ORDER BY score DESC, item, other LIMIT $limit""",
        _TOP,
        ("item", "other", "score"),
    ),
    Recipe(
        "cold-items",
        "Items nobody chose in training, and how many media nodes and entities could connect them.",
        """
MATCH (i:Item) WHERE NOT EXISTS { MATCH (i)<-[r:INTERACTED]-(:User) WHERE r.split = 'train' }
OPTIONAL MATCH (i)-[:HAS_IMAGE]->(p:Image)
WITH i, count(DISTINCT p.id) AS images
OPTIONAL MATCH (i)-[:HAS_TEXT]->(t:Text)
WITH i, images, count(DISTINCT t.id) AS texts
OPTIONAL MATCH (i)-[:HAS_AUDIO]->(a:Audio)
WITH i, images, texts, count(DISTINCT a.id) AS sounds
OPTIONAL MATCH (i)-[:RELATED]->(e:Entity)
RETURN i.id AS item, images, texts, sounds, count(DISTINCT e.id) AS entities ORDER BY item LIMIT $limit""",
        _TOP,
        ("item", "images", "texts", "sounds", "entities"),
    ),
    Recipe(
        "cold-item-anchors",
        "Chosen items that share an entity with this item: what connects a cold item to people.",
        """
MATCH (i:Item)-[:RELATED]->(e:Entity)<-[:RELATED]-(o:Item)<-[r:INTERACTED]-(u:User)
WHERE i.id = $item AND o.id <> i.id AND r.split = 'train'
RETURN o.id AS item, count(DISTINCT e.id) AS entities, count(DISTINCT u.id) AS users
ORDER BY entities DESC, users DESC, item LIMIT $limit""",
        {**_ITEM, **_TOP},
        ("item", "entities", "users"),
    ),
    Recipe(
        "popular-items",
        "The items most people chose in training.",
        """
MATCH (u:User)-[r:INTERACTED]->(i:Item) WHERE r.split = 'train'
WITH i, count(*) AS users
RETURN i.id AS item, users ORDER BY users DESC, item LIMIT $limit""",
        _TOP,
        ("item", "users"),
    ),
    Recipe(
        "popularity-profile",
        "How many items were chosen how often in training: the long tail as numbers.",
        """
MATCH (u:User)-[r:INTERACTED]->(i:Item) WHERE r.split = 'train'
WITH i, count(*) AS users
RETURN users, count(*) AS items ORDER BY users LIMIT $limit""",
        {"limit": 1000},
        ("users", "items"),
    ),
    Recipe(
        "modality-coverage",
        "How many items have at least one picture, text, sound.",
        """
OPTIONAL MATCH (i:Item)-[:HAS_IMAGE]->(:Image) RETURN 'image' AS modality, count(DISTINCT i.id) AS items
UNION ALL
OPTIONAL MATCH (i:Item)-[:HAS_TEXT]->(:Text) RETURN 'text' AS modality, count(DISTINCT i.id) AS items
UNION ALL
OPTIONAL MATCH (i:Item)-[:HAS_AUDIO]->(:Audio) RETURN 'audio' AS modality, count(DISTINCT i.id) AS items
UNION ALL
OPTIONAL MATCH (i:Item) RETURN 'all' AS modality, count(i.id) AS items""",
        {},
        ("modality", "items"),
    ),
    Recipe(
        "coverage-by-entity",
        "For each entity of a relation (e.g. a category): its items, and how many have picture, text, sound.",
        """
MATCH (i:Item)-[r:RELATED]->(e:Entity) WHERE r.relation = $relation
OPTIONAL MATCH (p:Item)-[:HAS_IMAGE]->(:Image) WHERE p.id = i.id
WITH e, i, count(p.id) AS images
OPTIONAL MATCH (t:Item)-[:HAS_TEXT]->(:Text) WHERE t.id = i.id
WITH e, i, images, count(t.id) AS texts
OPTIONAL MATCH (a:Item)-[:HAS_AUDIO]->(:Audio) WHERE a.id = i.id
WITH e, i, images, texts, count(a.id) AS sounds
RETURN e.id AS entity, count(i.id) AS items, sum(CASE WHEN images > 0 THEN 1 ELSE 0 END) AS with_image,
  sum(CASE WHEN texts > 0 THEN 1 ELSE 0 END) AS with_text,
  sum(CASE WHEN sounds > 0 THEN 1 ELSE 0 END) AS with_sound
ORDER BY items DESC, entity LIMIT $limit""",
        {"relation": "category", **_TOP},
        ("entity", "items", "with_image", "with_text", "with_sound"),
    ),
    Recipe(
        "bare-items",
        "Items without any media: a build left their media out, or they never had some.",
        """
MATCH (i:Item)
WHERE NOT EXISTS { MATCH (i)-[:HAS_IMAGE]->(:Image) } AND NOT EXISTS { MATCH (i)-[:HAS_TEXT]->(:Text) }
  AND NOT EXISTS { MATCH (i)-[:HAS_AUDIO]->(:Audio) }
RETURN i.id AS item, i.title AS title ORDER BY item LIMIT $limit""",
        _TOP,
        ("item", "title"),
    ),
    Recipe(
        "duplicate-images",
        "Pictures that several items share: duplicates or placeholders.",
        """
MATCH (i:Item)-[:HAS_IMAGE]->(m:Image)
WITH m, count(DISTINCT i.id) AS items WHERE items > 1
RETURN m.id AS image, items ORDER BY items DESC, image LIMIT $limit""",
        _TOP,
        ("image", "items"),
    ),
    Recipe(
        "duplicate-texts",
        "Texts that several items share: duplicates or boilerplate.",
        """
MATCH (i:Item)-[:HAS_TEXT]->(m:Text)
WITH m, count(DISTINCT i.id) AS items WHERE items > 1
RETURN m.id AS text, items ORDER BY items DESC, text LIMIT $limit""",
        _TOP,
        ("text", "items"),
    ),
    Recipe(
        "hub-entities",
        "The entities with the most items.",
        """
MATCH (i:Item)-[r:RELATED]->(e:Entity)
RETURN e.id AS entity, e.name AS name, count(DISTINCT i.id) AS items ORDER BY items DESC, entity LIMIT $limit""",
        _TOP,
        ("entity", "name", "items"),
    ),
    Recipe(
        "hub-images",
        "Pictures that are a near neighbour of many others.",
        """
MATCH (a:Image)-[s:SIMILAR]->(b:Image)
RETURN b.id AS image, count(a.id) AS neighbours, avg(s.score) AS score
ORDER BY neighbours DESC, image LIMIT $limit""",
        _TOP,
        ("image", "neighbours", "score"),
    ),
    Recipe(
        "relations",
        "The relations of the knowledge graph and how often each occurs.",
        """
MATCH (i:Item)-[r:RELATED]->(e:Entity)
RETURN r.relation AS relation, count(DISTINCT i.id) AS items, count(DISTINCT e.id) AS entities
ORDER BY items DESC, relation LIMIT $limit""",
        _TOP,
        ("relation", "items", "entities"),
    ),
    Recipe(
        "entity-items",
        "The items of an entity, and by which relation.",
        """
MATCH (i:Item)-[r:RELATED]->(e:Entity) WHERE e.id = $entity
RETURN i.id AS item, i.title AS title, r.relation AS relation ORDER BY item, relation LIMIT $limit""",
        {"entity": None, **_TOP},
        ("item", "title", "relation"),
    ),
    Recipe(
        "cross-modal-links",
        "The strongest links between a text and a picture that belong to different items.",
        """
MATCH (i:Item)-[:HAS_TEXT]->(t:Text)-[s:SIMILAR]->(p:Image)<-[:HAS_IMAGE]-(o:Item) WHERE i.id <> o.id
RETURN i.id AS item, o.id AS other, max(s.score) AS score ORDER BY score DESC, item, other LIMIT $limit""",
        _TOP,
        ("item", "other", "score"),
    ),
    Recipe(
        "encoders",
        "Which encoder embedded how many media nodes of each kind.",
        """
MATCH (m:Image) RETURN 'Image' AS label, m.encoder AS encoder, count(m.id) AS nodes
UNION ALL
MATCH (m:Text) RETURN 'Text' AS label, m.encoder AS encoder, count(m.id) AS nodes
UNION ALL
MATCH (m:Audio) RETURN 'Audio' AS label, m.encoder AS encoder, count(m.id) AS nodes""",
        {},
        ("label", "encoder", "nodes"),
    ),
    Recipe(
        "generated",
        "What language models wrote into the graph: texts and facts by model and by the hash of their instructions.",
        """
MATCH (i:Item)-[r:HAS_TEXT]->(t:Text) WHERE t.source = 'generated'
RETURN r.role AS what, t.model AS model, t.prompt AS prompt, count(DISTINCT i.id) AS items, count(DISTINCT t.id) AS n
UNION ALL
MATCH (i:Item)-[r:RELATED]->(e:Entity) WHERE r.source = 'generated'
RETURN r.relation AS what, r.model AS model, r.prompt AS prompt, count(DISTINCT i.id) AS items, count(r.prompt) AS n""",
        {},
        ("what", "model", "prompt", "items", "n"),
    ),
    Recipe(
        "generated-facts",
        "Facts that a language model wrote, with what each follows from: words of the item, or a picture's id.",
        """
MATCH (i:Item)-[r:RELATED]->(e:Entity) WHERE r.source = 'generated'
RETURN i.id AS item, i.title AS title, r.relation AS relation, e.id AS entity, e.name AS name,
  r.evidence AS evidence, r.model AS model, r.created AS created ORDER BY item, relation, entity LIMIT $limit""",
        _TOP,
        ("item", "title", "relation", "entity", "name", "evidence", "model", "created"),
    ),
    Recipe(
        "generated-texts",
        "Captions and summaries that a language model wrote.",
        """
MATCH (i:Item)-[r:HAS_TEXT]->(t:Text) WHERE t.source = 'generated'
RETURN i.id AS item, i.title AS title, r.role AS role, t.content AS text, t.evidence AS evidence,
  t.model AS model, t.created AS created ORDER BY item, role, text LIMIT $limit""",
        _TOP,
        ("item", "title", "role", "text", "evidence", "model", "created"),
    ),
)
"""Recipes that start from items and what they are made of."""
