"""What `explain_paths` finds in the tiny graph, worked out by hand; every store runs it."""

import pyarrow as pa
import pytest

from graph import GraphStore, StoreError
from graph.views.paths import explain_paths
from graph.views.result_graph import result_graph
from tests.graph.tiny_graph import INTERACTED


class PathCases:
    """A subclass gives `tiny`: an open, writable store that holds the tiny graph."""

    @pytest.fixture
    def tiny(self) -> GraphStore:
        raise NotImplementedError

    def test_the_best_of_every_kind_comes_first(self, tiny: GraphStore) -> None:
        paths = explain_paths(tiny, "ann", "film_c")
        assert [(p.kind, [n.id for n in p.nodes]) for p in paths] == [
            ("media", ["ann", "film_a", "p1", "film_c"]),
            ("user", ["ann", "film_a", "bob", "film_c"]),
            ("similar", ["ann", "film_b", "p2", "p1", "film_c"]),
        ]
        assert [p.score for p in paths] == pytest.approx([1.0, 0.5, 0.9])
        assert [n.label for n in paths[2].nodes] == ["User", "Item", "Image", "Image", "Item"]
        assert paths[0].sentence == "ann chose Ants, which has the same image as Crows é 電影."

    def test_entities_name_their_relations(self, tiny: GraphStore) -> None:
        paths = explain_paths(tiny, "ann", "film_d")
        assert [p.kind for p in paths] == ["entity", "entity"]
        assert paths[0].sentence == (
            "ann chose Ants, which is related to Dora (directed by), as is film_d (directed by)."
        )
        assert paths[0].score == pytest.approx(0.5)

    def test_the_cypher_shows_the_path(self, tiny: GraphStore) -> None:
        for path in (*explain_paths(tiny, "ann", "film_c"), *explain_paths(tiny, "ann", "film_d")):
            rows = tiny.query(path.cypher, path.parameters).to_pylist()
            between = {node.id for node in path.nodes[1:-1]}
            assert any(between <= set(row.values()) for row in rows)

    def test_the_path_can_be_shown_whole(self, tiny: GraphStore) -> None:
        for path in (*explain_paths(tiny, "ann", "film_c"), *explain_paths(tiny, "ann", "film_d")):
            values = {"user": "ann", "item": path.nodes[-1].id, "history": [path.history]}
            shown = result_graph(tiny.query(path.show, values))
            found = {(data["label"], data["properties"]["id"]) for _, data in shown.nodes(data=True)}
            assert {(node.label, node.id) for node in path.nodes} <= found

    def test_only_train_interactions_are_followed(self, tiny: GraphStore) -> None:
        # ann holds film_d in test: cat's way to it over ann, and ann's history with it, must not exist.
        assert explain_paths(tiny, "cat", "film_d") == []
        assert not any("film_d" in {n.id for n in p.nodes} for p in explain_paths(tiny, "ann", "film_c"))
        train = pa.table({"source": ["ann"], "target": ["film_d"], "split": ["train"]})
        tiny.write_relationships(INTERACTED, train)
        assert "film_d" in {n.id for p in explain_paths(tiny, "ann", "film_a") for n in p.nodes}

    def test_limit_and_order_are_the_same_every_time(self, tiny: GraphStore) -> None:
        whole = explain_paths(tiny, "bob", "film_b")
        assert len(whole) == 3
        assert explain_paths(tiny, "bob", "film_b", limit=1)[0].nodes == whole[0].nodes
        assert explain_paths(tiny, "bob", "film_b") == whole

    def test_unknown_ids_are_named(self, tiny: GraphStore) -> None:
        with pytest.raises(StoreError, match="user 'zoe'"):
            explain_paths(tiny, "zoe", "film_a")
        with pytest.raises(StoreError, match="item 'film_z'"):
            explain_paths(tiny, "ann", "film_z")
