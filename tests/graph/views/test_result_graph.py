"""The nodes and relationships of a result as a graph: the same from both stores."""

from collections.abc import Iterator

import networkx as nx
import pytest

from graph import GraphError, GraphStore, open_store
from graph.cookbook.recipes import find
from graph.neo4j.store import Neo4jStore
from graph.views.result_graph import captions, result_graph
from tests.graph.tiny_graph import write_tiny

QUERIES = [
    "MATCH (u:User)-[r:INTERACTED]->(i:Item) WHERE r.split = 'train' RETURN u, r, i",
    "MATCH p = (a:Item)-[:HAS_IMAGE]->(:Image)<-[:HAS_IMAGE]-(b:Item) WHERE a.id < b.id RETURN p",
    "MATCH (u:User)-[:INTERACTED]->(i:Item) RETURN u, collect(i) AS items",
]


def shape(graph: nx.MultiDiGraph) -> tuple[list[tuple[str, str]], list[tuple[str, str, str]]]:
    ids = {node: data["properties"].get("id") for node, data in graph.nodes(data=True)}
    nodes = sorted((data["label"], ids[node]) for node, data in graph.nodes(data=True))
    return nodes, sorted((ids[a], kind, ids[b]) for a, b, kind in graph.edges(data="type"))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GraphStore]:
    with open_store(f"ladybug:{tmp_path_factory.mktemp('subgraph')}") as store:
        write_tiny(store)
        yield store


def test_nodes_and_relationships(tiny: GraphStore) -> None:
    graph = result_graph(tiny.query(QUERIES[0]))
    nodes, edges = shape(graph)
    assert nodes == [("Item", f"film_{c}") for c in "abc"] + [("User", u) for u in ("ann", "bob", "cat")]
    assert ("ann", "INTERACTED", "film_b") in edges
    assert len(edges) == 5
    assert dict(captions(graph, 8))[next(n for n, d in graph.nodes(data=True) if d["caption"] == "Bees")] == "Bees"
    assert all("embedding" not in data["properties"] for _, data in graph.nodes(data=True))


def test_paths_and_lists(tiny: GraphStore) -> None:
    nodes, edges = shape(result_graph(tiny.query(QUERIES[1])))
    assert ("Image", "p1") in nodes
    assert ("film_a", "HAS_IMAGE", "p1") in edges
    assert len(shape(result_graph(tiny.query(QUERIES[2])))[0]) == 7


def test_rows_of_ids(tiny: GraphStore) -> None:
    recipe = find("alike-in-picture")
    table = tiny.query(recipe.cypher, recipe.arguments({"item": "film_a"}))
    assert shape(result_graph(table, {"item": "film_a"})) == (
        [("Item", "film_a"), ("Item", "film_b")],
        [("film_a", "", "film_b")],
    )
    recipe = find("item-neighbourhood")
    graph = result_graph(tiny.query(recipe.cypher, recipe.arguments({"item": "film_a"})), {"item": "film_a"})
    assert {data["label"] for _, data in graph.nodes(data=True)} == {"Item", "Entity", "Image", "Text", "User"}


def test_numbers_are_no_graph(tiny: GraphStore) -> None:
    with pytest.raises(GraphError, match="no nodes to draw"):
        result_graph(tiny.query("MATCH (n:Item) RETURN count(n) AS n, '{\"a\": 1}' AS words"))


@pytest.mark.neo4j
def test_same_graph_from_both_stores(neo4j_store: Neo4jStore, tiny: GraphStore) -> None:
    write_tiny(neo4j_store)
    for query in QUERIES:
        assert shape(result_graph(neo4j_store.query(query))) == shape(result_graph(tiny.query(query)))
