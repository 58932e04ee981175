"""networkx views and statistics of the tiny graph, against counts by hand and networkx itself."""

from collections.abc import Iterator

import networkx as nx
import pytest

from graph import EdgeType, GraphError, GraphStore, SchemaError, StoreError, open_store
from graph.neo4j.store import Neo4jStore
from graph.views.networkx_view import ego_network, to_networkx
from graph.views.stats import StatsConfig, graph_stats, view_stats
from tests.graph.tiny_graph import INTERACTED, write_tiny


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GraphStore]:
    with open_store(f"ladybug:{tmp_path_factory.mktemp('views')}") as store:
        write_tiny(store)
        yield store


def test_the_whole_train_graph(store: GraphStore) -> None:
    graph = to_networkx(store, properties={"Item": ["title"]})
    assert (graph.number_of_nodes(), graph.number_of_edges()) == (14, 18)
    assert graph.nodes["Item", "film_a"] == {"label": "Item", "id": "film_a", "title": "Ants"}
    assert graph.get_edge_data(("User", "ann"), ("Item", "film_a"))[0]["weight"] == 5.0
    assert not graph.has_edge(("User", "ann"), ("Item", "film_d"))


def test_filters(store: GraphStore) -> None:
    held_out = to_networkx(store, edges=[INTERACTED], splits=["test"])
    assert list(held_out.edges()) == [(("User", "ann"), ("Item", "film_d"))]
    assert {label for label, _ in to_networkx(store, labels=["Image"]).nodes} == {"Image"}
    assert to_networkx(store, labels=["Image"]).number_of_edges() == 2


def test_ego_network(store: GraphStore) -> None:
    near = ego_network(store, "Entity", "dora", hops=1)
    assert set(near.nodes) == {("Entity", "dora"), ("Item", "film_a"), ("Item", "film_d")}
    assert ("User", "ann") in ego_network(store, "Entity", "dora", hops=2)
    assert len(ego_network(store, "Entity", "dora", hops=4, limit=5)) == 5
    with pytest.raises(StoreError, match="Entity 'nobody'"):
        ego_network(store, "Entity", "nobody")
    with pytest.raises(SchemaError, match="Robot"):
        ego_network(store, "Robot", "r2")


def test_an_ego_network_is_the_neighbourhood_of_the_whole(store: GraphStore) -> None:
    whole = to_networkx(store, properties={"Item": ["title"], "Entity": ["name"]})
    for centre in whole.nodes:
        for hops in (1, 2, 3):
            near = ego_network(store, *centre, hops=hops)
            wanted = whole.subgraph(nx.single_source_shortest_path_length(whole.to_undirected(), centre, cutoff=hops))
            assert set(near.nodes) == set(wanted.nodes)
            assert sorted(near.edges(data="type")) == sorted(wanted.edges(data="type"))
            assert {n: dict(d) for n, d in near.nodes(data=True)} == {n: dict(d) for n, d in wanted.nodes(data=True)}
    with pytest.raises(SchemaError, match="User-LIKES-Item"):
        ego_network(store, "User", "ann", edges=[EdgeType("User", "LIKES", "Item")])


@pytest.mark.neo4j
def test_both_stores_give_the_same_views(neo4j_store: Neo4jStore, store: GraphStore) -> None:
    write_tiny(neo4j_store)
    for centre in (("User", "ann"), ("Entity", "dora")):
        ours, theirs = (ego_network(s, *centre, hops=2) for s in (neo4j_store, store))
        assert nx.utils.graphs_equal(nx.DiGraph(ours), nx.DiGraph(theirs))
    assert graph_stats(neo4j_store) == graph_stats(store)


def test_statistics_of_a_part(store: GraphStore) -> None:
    everything = graph_stats(store)
    assert view_stats(to_networkx(store)) == everything
    part = graph_stats(store, labels=["User", "Item"])
    assert (part.nodes, part.edges, set(part.degree)) == (7, 6, {"User", "Item"})
    assert view_stats(ego_network(store, "Entity", "dora")).edges == 3
    with pytest.raises(GraphError, match="over the limit of 3"):
        graph_stats(store, config=StatsConfig(max_edges=3))


def test_statistics(store: GraphStore) -> None:
    stats = graph_stats(store, config=StatsConfig(top=3))
    assert (stats.nodes, stats.edges, stats.components) == (14, 18, 2)
    assert stats.largest_component == pytest.approx(13 / 14)
    assert stats.degree["Entity"] == {"mean": 2.0, "median": 2.0, "max": 3.0, "isolated": 0.0}
    assert stats.degree["Image"]["isolated"] == pytest.approx(1 / 3)
    assert stats.communities is not None
    assert stats == graph_stats(store, config=StatsConfig(top=3))


def test_pagerank_is_that_of_networkx(store: GraphStore) -> None:
    stats = graph_stats(store, config=StatsConfig(top=14))
    weighted = nx.Graph()
    graph = to_networkx(store)
    weighted.add_nodes_from(graph)
    for source, target in graph.edges():
        weight = weighted.get_edge_data(source, target, {"weight": 0})["weight"]
        weighted.add_edge(source, target, weight=weight + 1)
    wanted = nx.pagerank(weighted, alpha=0.85, tol=1e-10, max_iter=1000)
    assert {(label, i): value for label, i, value in stats.pagerank} == pytest.approx(wanted, abs=1e-6)


def test_communities_are_left_out_above_the_limit(store: GraphStore) -> None:
    assert graph_stats(store, config=StatsConfig(max_community_edges=2)).communities is None


def test_an_empty_graph_has_statistics(tmp_path_factory: pytest.TempPathFactory) -> None:
    with open_store(f"ladybug:{tmp_path_factory.mktemp('empty')}") as empty:
        stats = graph_stats(empty)
    assert (stats.nodes, stats.edges, stats.components, stats.pagerank) == (0, 0, 0, [])
