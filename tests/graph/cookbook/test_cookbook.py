"""The cookbook: hand-worked answers, and the same rows from both stores over a larger random graph."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from graph import EdgeType, GraphError, GraphStore, open_store
from graph.cookbook.recipes import COOKBOOK, find
from graph.neo4j.store import Neo4jStore
from tests.graph.tiny_graph import RECOMMENDED, SCHEMA, write_tiny

GIVEN = {"user": "ann", "item": "film_a", "entity": "dora", "relation": "directed_by"}
GIVEN_RANDOM = {"user": "u3", "item": "i15", "entity": "e2", "relation": "genre"}
RECOMMENDATIONS = pa.table(
    {
        "source": ["ann", "ann", "bob"],
        "target": ["film_d", "film_c", "film_d"],
        "score": [0.75, 0.5, 0.25],
        "rank": [1, 2, 1],
        "model": ["m"] * 3,
        "created": ["2025-01-01T00:00:00Z"] * 3,
    }
)

WRITTEN = {
    "source": ["generated", None, "generated"],
    "model": ["m1", None, "m2"],
    "prompt": ["ab", None, "ab"],
    "created": ["2025-01-01", None, "2025-01-01"],
    "evidence": ["a few words", None, "ab" * 32],
}
"""Of a third of texts and facts each by one model and another."""


def write_tiny_with_recommendations(store: GraphStore) -> None:
    write_tiny(store)
    store.write_relationships(RECOMMENDED, RECOMMENDATIONS)


def write_random(store: GraphStore) -> None:
    """40 users, 60 items, shared media, 12 entities; 10 items are cold and 5 have no media."""
    rng = np.random.default_rng(7)
    store.create_schema(SCHEMA)
    counts = {"User": ("u", 40), "Item": ("i", 60), "Image": ("p", 35), "Text": ("t", 40), "Audio": ("a", 30)}
    for label, (letter, count) in {**counts, "Entity": ("e", 12)}.items():
        ids = [f"{letter}{n}" for n in range(count)]
        extra = {"encoder": ["one", "two"] * (count // 2) + ["one"] * (count % 2)}
        written = {**WRITTEN, "content": ids} if letter == "t" else {}
        given = {**extra, **{k: [v[n % len(v)] for n in range(count)] for k, v in written.items()}}
        store.write_nodes(label, pa.table({"id": ids, **(given if letter in "pta" else {})}))

    def pairs(a: tuple[str, int], b: tuple[str, int], n: int) -> dict[str, list[str]]:
        cells = rng.choice(a[1] * b[1], n, replace=False)
        return {"source": [f"{a[0]}{c // b[1]}" for c in cells], "target": [f"{b[0]}{c % b[1]}" for c in cells]}

    def write(edge: tuple[str, str, str], ends: dict[str, list[str]], **values: list[Any]) -> None:
        size = len(ends["source"])
        table = pa.table({**ends, **{k: [v[n % len(v)] for n in range(size)] for k, v in values.items()}})
        store.write_relationships(EdgeType(*edge), table)

    scores = [float(s) for s in rng.random(64)]
    splits = ["train"] * 8 + ["valid", "test"]
    ratings = pairs(("u", 40), ("i", 50), 400)
    write(("User", "INTERACTED", "Item"), ratings, weight=scores, timestamp=[3, 1, 2], split=splits)
    write(("User", "FOLLOWS", "User"), pairs(("u", 40), ("u", 40), 80))
    for relation, label, letter, size in (
        ("HAS_IMAGE", "Image", "p", 35),
        ("HAS_TEXT", "Text", "t", 40),
        ("HAS_AUDIO", "Audio", "a", 30),
    ):
        ends = pairs(("i", 55), (letter, size), 60)
        write(("Item", relation, label), ends, role=["main", "cover"], position=[0, 1])
        alike = pairs((letter, size), (letter, size), 200)
        write((label, "SIMILAR", label), alike, score=scores, encoder=["one"])
    write(("Text", "SIMILAR", "Image"), pairs(("t", 40), ("p", 35), 90), score=scores, encoder=["clip"])
    related = pairs(("i", 60), ("e", 12), 90)
    facts = {"origin" if name == "source" else name: values for name, values in WRITTEN.items()}
    write(("Item", "RELATED", "Entity"), related, relation=["genre", "stars", "genre"], **facts)
    stamp = ["2025-01-01T00:00:00Z"]
    for model in ("m1", "m2"):
        links = pairs(("u", 40), ("i", 60), 100)
        write(("User", "RECOMMENDED", "Item"), links, score=scores, rank=[1, 2, 3], model=[model], created=stamp)


def answer(store: GraphStore, name: str, given: dict[str, str]) -> list[tuple[Any, ...]]:
    """The rows of a recipe; floats rounded, and sorted where the query leaves the order open."""
    recipe = COOKBOOK[name]
    chosen = {k: v for k, v in given.items() if k in recipe.parameters}
    table = store.query(recipe.cypher, recipe.arguments(chosen))
    assert tuple(table.column_names) == recipe.columns
    found = [tuple(round(v, 9) if isinstance(v, float) else v for v in row.values()) for row in table.to_pylist()]
    return found if "ORDER BY" in recipe.cypher else sorted(found, key=repr)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GraphStore]:
    path: Path = tmp_path_factory.mktemp("cookbook") / "tiny"
    with open_store(f"ladybug:{path}") as store:
        write_tiny_with_recommendations(store)
        yield store


@pytest.fixture(scope="module")
def random_graph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GraphStore]:
    path: Path = tmp_path_factory.mktemp("cookbook") / "random"
    with open_store(f"ladybug:{path}") as store:
        write_random(store)
        yield store


BY_HAND = {
    "item-neighbourhood": [
        ("entity", "dora", "directed_by"),
        ("image", "p1", "main"),
        ("text", "t1", "main"),
        ("user", "ann", "train"),
        ("user", "bob", "train"),
    ],
    "alike-in-picture": [("film_b", 0.9)],
    "alike-in-picture-not-text": [("film_b", 0.9)],
    "cold-items": [("film_d", 0, 0, 0, 1)],
    "popular-items": [("film_a", 2), ("film_c", 2), ("film_b", 1)],
    "popularity-profile": [(1, 1), (2, 2)],
    "modality-coverage": [("all", 4), ("audio", 0), ("image", 3), ("text", 1)],
    "coverage-by-entity": [("dora", 2, 1, 1, 0)],
    "bare-items": [("film_d", None)],
    "duplicate-images": [("p1", 2)],
    "hub-entities": [("dora", "Dora", 2), ("noir", "Noir", 1)],
    "entity-items": [
        ("film_a", "Ants", "directed_by"),
        ("film_d", None, "directed_by"),
        ("film_d", None, "stars"),
    ],
    "cross-modal-links": [("film_a", "film_b", 0.3)],
    "user-taste": [("directed_by", "dora", 1)],
    "user-modalities": [("all", 2), ("audio", 0), ("image", 2), ("text", 1)],
    "user-overlap": [("bob", 1, 2)],
    "co-interaction": [("film_b", 1), ("film_c", 1)],
    "active-users": [("ann", 2), ("bob", 2), ("cat", 1)],
    "splits": [("train", 5, 3, 3), ("test", 1, 1, 1), ("valid", 1, 1, 1)],
    "recommendations": [("m", 1, "film_d", 0.75), ("m", 2, "film_c", 0.5)],
    "recommendation-grounds": [("m", "film_d", "dora", 1)],
    "recommended-most": [("m", "film_d", 2, 0), ("m", "film_c", 1, 2)],
}


@pytest.mark.parametrize("name", BY_HAND)
def test_answers_worked_out_by_hand(tiny: GraphStore, name: str) -> None:
    found = answer(tiny, name, GIVEN)
    assert found == BY_HAND[name]


@pytest.mark.parametrize("name", COOKBOOK)
def test_every_recipe_finds_something_in_the_random_graph(random_graph: GraphStore, name: str) -> None:
    assert answer(random_graph, name, GIVEN_RANDOM)


@pytest.mark.neo4j
class TestBothStores:
    def test_same_rows_over_the_tiny_graph(self, neo4j_store: Neo4jStore, tiny: GraphStore) -> None:
        write_tiny_with_recommendations(neo4j_store)
        for name in COOKBOOK:
            assert (name, answer(neo4j_store, name, GIVEN)) == (name, answer(tiny, name, GIVEN))

    def test_same_rows_over_the_random_graph(self, neo4j_store: Neo4jStore, random_graph: GraphStore) -> None:
        write_random(neo4j_store)
        for name in COOKBOOK:
            ours, theirs = (answer(s, name, GIVEN_RANDOM) for s in (neo4j_store, random_graph))
            assert (name, ours) == (name, theirs)


def test_the_book_is_complete() -> None:
    assert len(COOKBOOK) >= 20
    for name, recipe in COOKBOOK.items():
        assert recipe.description.endswith(".")
        assert recipe.columns
        for parameter in recipe.parameters:
            assert f"${parameter}" in recipe.cypher, (name, parameter)


def test_arguments() -> None:
    recipe = find("alike-in-picture")
    assert recipe.arguments({"item": "x", "limit": "7"}) == {"item": "x", "limit": 7}
    assert recipe.arguments({"item": "x"})["limit"] == 20
    with pytest.raises(GraphError, match="'item' is missing"):
        recipe.arguments({})
    with pytest.raises(GraphError, match="'itme' is unknown"):
        recipe.arguments({"itme": "x"})
    with pytest.raises(GraphError, match="'limit' is 'many'"):
        recipe.arguments({"item": "x", "limit": "many"})
    with pytest.raises(GraphError, match="did you mean 'popular-items'"):
        find("popular-item")
