"""A tiny graph with answers worked out by hand: three users, four items, shared media and entities.

ann -train-> film_a    ann -train-> film_b    ann -test-> film_d
bob -train-> film_a    bob -train-> film_c    bob -valid-> film_b
cat -train-> film_c    cat follows ann
film_a, film_c share the picture p1; film_b has p2, and p1 is similar to p2 (0.9) and p2 to p1 (0.8)
film_a, film_d are directed_by dora; film_d stars dora as well; film_c has genre noir; noir is_a style
"""

import pyarrow as pa

from graph import EdgeType, GraphSchema
from graph.store import GraphStore

INTERACTED = EdgeType("User", "INTERACTED", "Item")
FOLLOWS = EdgeType("User", "FOLLOWS", "User")
HAS_IMAGE = EdgeType("Item", "HAS_IMAGE", "Image")
HAS_TEXT = EdgeType("Item", "HAS_TEXT", "Text")
SIMILAR_IMAGES = EdgeType("Image", "SIMILAR", "Image")
TEXT_TO_IMAGE = EdgeType("Text", "SIMILAR", "Image")
RELATED = EdgeType("Item", "RELATED", "Entity")
RELATED_ENTITIES = EdgeType("Entity", "RELATED", "Entity")
RECOMMENDED = EdgeType("User", "RECOMMENDED", "Item")

SCHEMA = (
    GraphSchema()
    .with_attributes("Item", pa.schema([("year", pa.int64()), ("order", pa.string()), ("price", pa.float64())]))
    .with_attributes("User", pa.schema([("age", pa.int64()), ("active", pa.bool_())]))
    .with_dimensions({"Image": 2})
)

NODES = {
    "User": pa.table({"id": ["cat", "ann", "bob"], "age": [41, 30, None], "active": [True, None, False]}),
    "Item": pa.table(
        {
            "id": ["film_b", "film_a", "film_d", "film_c"],
            "title": ["Bees", "Ants", None, "Crows é 電影"],
            "year": [1999, None, 2024, 1950],
            "order": ["2", "1", "4", "3"],
            "price": [2.5, 1.0, None, 0.0],
        }
    ),
    "Image": pa.table(
        {
            "id": ["p2", "p1", "p3"],
            "uri": ["b.png", "a.png", None],
            "width": [20, 10, None],
            "height": [20, 10, None],
            "embedding": pa.array([[0.0, 1.0], [1.0, 0.0], None], pa.list_(pa.float32())),
            "encoder": ["e", "e", "given"],
        }
    ),
    "Text": pa.table({"id": ["t1"], "content": ["Ants march"], "lang": ["en"]}),
    "Entity": pa.table(
        {"id": ["dora", "noir", "style"], "name": ["Dora", "Noir", None], "type": ["person", None, None]}
    ),
}
"""Label -> its rows, in no particular order."""

EDGES = {
    INTERACTED: pa.table(
        {
            "source": ["cat", "ann", "ann", "bob", "bob", "ann", "bob"],
            "target": ["film_c", "film_b", "film_a", "film_c", "film_a", "film_d", "film_b"],
            "weight": [1.0, 2.0, 5.0, None, 3.0, 4.0, 1.0],
            "timestamp": [7, 2, 1, None, 4, 9, 8],
            "split": ["train", "train", "train", "train", "train", "test", "valid"],
        }
    ),
    FOLLOWS: pa.table({"source": ["cat"], "target": ["ann"]}),
    HAS_IMAGE: pa.table(
        {
            "source": ["film_a", "film_c", "film_b"],
            "target": ["p1", "p1", "p2"],
            "role": ["main"] * 3,
            "position": [0, 0, 0],
        }
    ),
    HAS_TEXT: pa.table({"source": ["film_a"], "target": ["t1"], "role": ["main"], "position": [0]}),
    SIMILAR_IMAGES: pa.table(
        {"source": ["p2", "p1"], "target": ["p1", "p2"], "score": [0.8, 0.9], "encoder": ["e", "e"]}
    ),
    TEXT_TO_IMAGE: pa.table({"source": ["t1"], "target": ["p2"], "score": [0.3], "encoder": ["clip"]}),
    RELATED: pa.table(
        {
            "source": ["film_d", "film_a", "film_d", "film_c"],
            "target": ["dora", "dora", "dora", "noir"],
            "relation": ["stars", "directed_by", "directed_by", "genre"],
        }
    ),
    RELATED_ENTITIES: pa.table({"source": ["noir"], "target": ["style"], "relation": ["is_a"]}),
}
"""Edge type -> its rows, in no particular order."""

NODE_COUNTS = {"User": 3, "Item": 4, "Text": 1, "Image": 3, "Audio": 0, "Entity": 3}
EDGE_COUNTS = {
    "INTERACTED": 7,
    "FOLLOWS": 1,
    "HAS_TEXT": 1,
    "HAS_IMAGE": 3,
    "HAS_AUDIO": 0,
    "RELATED": 5,
    "SIMILAR": 3,
    "RECOMMENDED": 0,
}


def write_tiny(store: GraphStore) -> int:
    """Write the whole graph; returns how many rows changed."""
    store.create_schema(SCHEMA)
    changed = sum(store.write_nodes(label, table) for label, table in NODES.items())
    return changed + sum(store.write_relationships(edge, table) for edge, table in EDGES.items())
