"""Similarity search: answers worked out by hand, the same rows from both stores, and the index's recall."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from graph import EdgeType, GraphError, GraphSchema, GraphStore, SchemaError, open_store
from graph.cookbook.nearest_media import similar, similar_to_vector
from graph.cookbook.similarity_search import SEARCHES, item_vectors, similar_items
from graph.neo4j.store import Neo4jStore
from tests.graph.tiny_graph import write_tiny

HAS_IMAGE = EdgeType("Item", "HAS_IMAGE", "Image")
NODES, DIM = 3000, 48


def random_vectors() -> np.ndarray:
    """Clustered, as pictures of a catalogue are; not of unit length."""
    rng = np.random.default_rng(3)
    centres = rng.normal(size=(60, DIM))
    return (centres[rng.integers(0, 60, NODES)] + 0.6 * rng.normal(size=(NODES, DIM))).astype(np.float32)


def write_vectors(store: GraphStore, vectors: np.ndarray) -> None:
    """Item `i<n>` has picture `p<n>`; every tenth has the next one's as well."""
    store.create_schema(GraphSchema().with_dimensions({"Image": DIM}))
    ids = [f"p{n:04}" for n in range(NODES)]
    store.write_nodes("Image", pa.table({"id": ids, "embedding": list(vectors), "encoder": ["e"] * NODES}))
    items = [f"i{n:04}" for n in range(NODES)]
    store.write_nodes("Item", pa.table({"id": items, "title": [f"Item {n}" for n in range(NODES)]}))
    more = range(0, NODES - 1, 10)
    links = {"source": items + [items[n] for n in more], "target": ids + [ids[n + 1] for n in more]}
    store.write_relationships(HAS_IMAGE, pa.table({**links, "role": ["main"] * NODES + ["more"] * len(more)}))


def exact(vectors: np.ndarray, query: np.ndarray, k: int) -> list[str]:
    unit = vectors.astype(np.float64) / np.linalg.norm(vectors, axis=1, keepdims=True)
    return [f"p{n:04}" for n in np.argsort(-(unit @ query.astype(np.float64)))[:k]]


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    return random_vectors()


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory, vectors: np.ndarray) -> Iterator[GraphStore]:
    with open_store(f"ladybug:{tmp_path_factory.mktemp('searches')}") as store:
        write_vectors(store, vectors)
        yield store


class TestTiny:
    @pytest.fixture(scope="class")
    def store(self, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GraphStore]:
        with open_store(f"ladybug:{tmp_path_factory.mktemp('tiny')}") as store:
            write_tiny(store)
            yield store

    def test_by_item(self, store: GraphStore) -> None:
        found = similar_items(store, "image", item_vectors(store, "image", "film_a"), limit=5, leave_out="film_a")
        assert found.to_pylist() == [
            {"item": "film_c", "title": "Crows é 電影", "media": "p1", "score": 1.0},
            {"item": "film_b", "title": "Bees", "media": "p2", "score": 0.0},
        ]

    def test_by_vector(self, store: GraphStore) -> None:
        found = similar_items(store, "image", [np.array([1.0, 1.0])], limit=2)
        assert found["item"].to_pylist() == ["film_a", "film_b"]
        assert found["score"].to_pylist() == pytest.approx([0.707107] * 2)

    def test_what_is_missing_is_named(self, store: GraphStore) -> None:
        with pytest.raises(GraphError, match="item 'nobody' is not in"):
            item_vectors(store, "image", "nobody")
        with pytest.raises(GraphError, match="item 'film_d' has no image"):
            item_vectors(store, "image", "film_d")
        with pytest.raises(SchemaError, match="'Item' nodes have no vectors"):
            similar(store, "Item", "film_a")


def test_parameters_are_checked() -> None:
    search = SEARCHES["similar-images"]
    assert search.wanted({"item": "a"}) == ("item", "a", 20)
    assert search.wanted({"text": "red shoes", "limit": "3"}) == ("text", "red shoes", 3)
    for given, message in (
        ({}, "got none"),
        ({"item": "a", "text": "b"}, "got item and text"),
        ({"item": "a", "limit": "many"}, "'limit' is 'many'"),
        ({"item": "a", "limit": "0"}, "'limit' is 0"),
        ({"itme": "a"}, "'itme' is unknown"),
    ):
        with pytest.raises(GraphError, match=message):
            search.wanted(given)


def test_the_embedded_store_is_exact(embedded: GraphStore, vectors: np.ndarray) -> None:
    for query in vectors[:20]:
        assert similar_to_vector(embedded, "Image", query, 10)["id"].to_pylist() == exact(vectors, query, 10)


def test_an_item_with_many_pieces_does_not_hide_others(tmp_path: Path) -> None:
    """300 pictures of one item are nearer than the other's only one."""
    near = (
        np.ones((300, 4), np.float32) + np.arange(300, dtype=np.float32)[:, None] * np.eye(4, dtype=np.float32)[0] / 1e4
    )
    with open_store(f"ladybug:{tmp_path}") as store:
        store.create_schema(GraphSchema().with_dimensions({"Image": 4}))
        ids = [f"p{n:03}" for n in range(300)]
        rows: dict[str, Any] = {"id": [*ids, "far"], "embedding": [*near, np.array([0, 0, 0, 1], np.float32)]}
        store.write_nodes("Image", pa.table(rows))
        store.write_nodes("Item", pa.table({"id": ["many", "one"], "title": ["Many", None]}))
        links = {"source": ["many"] * 300 + ["one"], "target": [*ids, "far"], "role": [*ids, "main"]}
        store.write_relationships(HAS_IMAGE, pa.table(links))
        assert similar_items(store, "image", [near[0]], limit=2)["item"].to_pylist() == ["many", "one"]


@pytest.mark.neo4j
class TestIndex:
    def test_recall_and_the_same_answers(
        self, neo4j_store: Neo4jStore, embedded: GraphStore, vectors: np.ndarray
    ) -> None:
        write_vectors(neo4j_store, vectors)
        rng = np.random.default_rng(4)
        queries = vectors[rng.choice(NODES, 60)] + 0.3 * rng.normal(size=(60, DIM)).astype(np.float32)
        hits, same = 0, 0
        for query in queries:
            table = similar_to_vector(neo4j_store, "Image", query, 10)
            found, wanted = table["id"].to_pylist(), exact(vectors, query, 10)
            hits += len(set(found) & set(wanted))
            ours, theirs = (similar_items(s, "image", [query], limit=10) for s in (neo4j_store, embedded))
            same += ours.drop_columns("score").equals(theirs.drop_columns("score"))
            scores = {row["id"]: row["score"] for row in table.to_pylist()}
            exactly = similar_to_vector(embedded, "Image", query, 10).to_pylist()
            shared = {row["id"]: row["score"] for row in exactly if row["id"] in scores}
            assert {key: scores[key] for key in shared} == pytest.approx(shared, abs=2e-6)
        assert hits / (60 * 10) >= 0.95
        assert same / 60 >= 0.9

    def test_by_item(self, neo4j_store: Neo4jStore, embedded: GraphStore, vectors: np.ndarray) -> None:
        write_vectors(neo4j_store, vectors)
        for item in ("i0010", "i0017"):
            both = [
                similar_items(s, "image", item_vectors(s, "image", item), limit=10, leave_out=item)
                for s in (neo4j_store, embedded)
            ]
            assert both[0]["item"].to_pylist() == both[1]["item"].to_pylist()
            assert item not in both[0]["item"].to_pylist()
