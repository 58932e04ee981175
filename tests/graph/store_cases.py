"""What every `GraphStore` must do; a subclass gives `store`: an open, empty, writable store."""

from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa
import pytest

from graph import EdgeType, GraphSchema, GraphStore, QueryRefused, SchemaError, StoreError
from graph.cookbook.nearest_media import similar_to_vector
from graph.hetero import graph_hash, read_hetero
from graph.vocabulary import vocabulary
from tests.graph.tiny_graph import (
    EDGE_COUNTS,
    EDGES,
    FOLLOWS,
    HAS_IMAGE,
    INTERACTED,
    NODE_COUNTS,
    NODES,
    RECOMMENDED,
    RELATED,
    SCHEMA,
    SIMILAR_IMAGES,
    write_tiny,
)

TINY_ROWS = sum(t.num_rows for t in (*NODES.values(), *EDGES.values()))

WRITES = [
    "CREATE (n:Item {id: 'x'})",
    "MATCH (n:Item) SET n.title = 'x'",
    "MATCH (n:Item) SET n.title = 'x' RETURN n.id",
    "MATCH (n:Item) DETACH DELETE n",
    "MERGE (n:Item {id: 'x'}) RETURN n.id",
    "MATCH (n:Item) REMOVE n.title",
    "MATCH (n:Item) RETURN n.id; MATCH (n:Item) DETACH DELETE n",
    "/* MATCH */ cReAtE (n:Item {id: 'x'})",
    "DROP TABLE Item",
    "LOAD CSV FROM 'file:///etc/passwd' AS line RETURN line",
    "",
    "   // nothing",
]


def rows(batches: Iterable[pa.RecordBatch], keys: Sequence[str]) -> list[dict[str, Any]]:
    """The rows in a fixed order."""
    found = [row for batch in batches for row in batch.to_pylist()]
    return sorted(found, key=lambda row: [str(row[key]) for key in keys])


def table_rows(table: pa.Table, keys: Sequence[str]) -> list[dict[str, Any]]:
    """The rows of a table in the order of `rows`."""
    return rows(table.to_batches(), keys)


class StoreCases:
    """The shared suite; subclasses are named `Test...` and add what only their store does."""

    @pytest.fixture
    def store(self) -> GraphStore:
        """An open, empty, writable store."""
        raise NotImplementedError

    def test_it_is_a_graph_store(self, store: GraphStore) -> None:
        assert isinstance(store, GraphStore)
        assert ":" in store.address

    def test_an_empty_store_counts_zero_of_every_kind(self, store: GraphStore) -> None:
        store.create_schema(SCHEMA)
        counts = store.counts()
        assert counts.nodes == dict.fromkeys(NODE_COUNTS, 0)
        assert counts.relationships == dict.fromkeys(EDGE_COUNTS, 0)

    def test_counts_after_a_build(self, store: GraphStore) -> None:
        assert write_tiny(store) == TINY_ROWS
        counts = store.counts()
        assert counts.nodes == NODE_COUNTS
        assert counts.relationships == EDGE_COUNTS

    def test_it_tells_names_beside_the_schemas_own(self, store: GraphStore) -> None:
        write_tiny(store)
        names = vocabulary(store)
        assert {"User", "Item", "Image"} <= set(names.labels)
        assert {"INTERACTED", "SIMILAR"} <= set(names.types)
        assert {"title", "embedding", "year", "age"} <= set(names.properties)  # the last two are the dataset's own
        assert all(list(found) == sorted(set(found)) for found in (names.labels, names.types, names.properties))

    def test_media_near_a_vector_best_first(self, store: GraphStore) -> None:
        write_tiny(store)
        found = similar_to_vector(store, "Image", [1.0, 0.75], 5)
        assert found["id"].to_pylist() == ["p1", "p2"]  # p3 has no vector
        assert found["score"].to_pylist() == pytest.approx([0.8, 0.6], abs=1e-5)
        assert similar_to_vector(store, "Image", [0.1, 1.0], 1)["id"].to_pylist() == ["p2"]
        assert similar_to_vector(store, "Text", [0.1, 1.0], 1).num_rows == 0

    def test_what_indexes_it_wants_are_online(self, store: GraphStore) -> None:
        store.create_schema(SCHEMA)
        assert set(store.index_states().values()) <= {"ONLINE"}

    def test_a_second_build_writes_nothing(self, store: GraphStore) -> None:
        write_tiny(store)
        assert write_tiny(store) == 0
        assert store.counts().nodes == NODE_COUNTS
        assert store.counts().relationships == EDGE_COUNTS

    def test_nodes_come_back_as_written(self, store: GraphStore) -> None:
        write_tiny(store)
        for label, table in NODES.items():
            names = table.column_names
            batches = list(store.read_nodes(label, names[1:]))
            assert set(batches[0].schema.names) == set(names)
            found = [{name: row[name] for name in names} for row in rows(batches, ["id"])]
            assert found == table_rows(table, ["id"])

    def test_relationships_come_back_as_written(self, store: GraphStore) -> None:
        write_tiny(store)
        for edge, table in EDGES.items():
            names = table.column_names
            keys = ["source", "target", *(n for n in names if n in ("relation", "encoder"))]
            batches = store.read_relationships(edge, names[2:])
            found = [{name: row[name] for name in names} for row in rows(batches, keys)]
            assert found == table_rows(table, keys)

    def test_arrow_types_are_those_of_the_schema(self, store: GraphStore) -> None:
        write_tiny(store)
        images = next(iter(store.read_nodes("Image", ["embedding", "width"]))).schema
        assert images.field("width").type == pa.int64()
        assert images.field("embedding").type.value_type in (pa.float32(), pa.float64())
        edges = next(iter(store.read_relationships(INTERACTED, ["weight", "timestamp", "split"]))).schema
        assert edges.field("weight").type == pa.float64()
        assert edges.field("timestamp").type == pa.int64()
        assert edges.field("source").type == pa.string()

    def test_only_ids_are_read_where_no_column_is_named(self, store: GraphStore) -> None:
        write_tiny(store)
        assert rows(store.read_nodes("User", []), ["id"]) == [{"id": "ann"}, {"id": "bob"}, {"id": "cat"}]
        assert rows(store.read_relationships(FOLLOWS), ["source"]) == [{"source": "cat", "target": "ann"}]

    def test_attributes_are_what_a_dataset_adds_to_the_schema(self, store: GraphStore) -> None:
        store.create_schema(SCHEMA)
        write_tiny(store)
        assert {f.name: f.type for f in store.attributes("Item")} == {
            f.name: f.type for f in NODES["Item"].schema if f.name not in ("id", "title")
        }
        assert len(store.attributes("Image")) == 0

    def test_an_empty_kind_reads_as_no_rows(self, store: GraphStore) -> None:
        write_tiny(store)
        assert rows(store.read_nodes("Audio", ["uri"]), ["id"]) == []
        assert rows(store.read_relationships(RECOMMENDED, ["score"]), ["source"]) == []

    def test_new_changed_and_equal_nodes(self, store: GraphStore) -> None:
        write_tiny(store)
        update = pa.table({"id": ["film_a", "film_b", "film_z"], "year": [2000, 1999, None]})
        assert store.write_nodes("Item", update) == 2
        found = {row["id"]: row for row in rows(store.read_nodes("Item", ["title", "year"]), ["id"])}
        assert found["film_a"] == {"id": "film_a", "title": "Ants", "year": 2000}
        assert found["film_z"] == {"id": "film_z", "title": None, "year": None}
        assert len(found) == 5

    def test_a_value_can_become_null(self, store: GraphStore) -> None:
        write_tiny(store)
        gone = pa.table({"id": ["film_b"], "year": pa.array([None], pa.int64())})
        assert store.write_nodes("Item", gone) == 1
        found = {row["id"]: row["year"] for row in rows(store.read_nodes("Item", ["year"]), ["id"])}
        assert found["film_b"] is None

    def test_attributes_of_any_name_come_back_and_are_the_same_in_cypher(self, store: GraphStore) -> None:
        names = ["价格", "标题", "source_ID", "a b", "a`b", "it's", "x`}) DETACH DELETE n //", "3d", "order"]
        columns = {name: pa.array([name, None]) for name in names}
        table = pa.table({"id": ["1", "2"], **columns})
        store.create_schema(GraphSchema().with_attributes("Item", table.schema))
        assert store.write_nodes("Item", table) == 2
        assert store.write_nodes("Item", table) == 0
        assert rows(store.read_nodes("Item", names), ["id"]) == table_rows(table, ["id"])
        assert set(store.attributes("Item").names) == set(names)
        for name in ("价格", "a b", "a`b"):
            cypher = f"MATCH (i:Item {{id: '1'}}) RETURN i.`{name.replace('`', '``')}` AS value"
            assert store.query(cypher)["value"].to_pylist() == [name]

    def test_whole_numbers_become_decimal_and_decimals_stay(self, store: GraphStore) -> None:
        whole, decimal = pa.table({"id": ["1", "2"], "price": [3, 4]}), pa.table({"id": ["3"], "price": [2.5]})
        for table, written in ((whole, 2), (decimal, 1), (whole, 0)):
            store.create_schema(GraphSchema().with_attributes("Item", table.schema))
            assert store.write_nodes("Item", table) == written
        assert store.attributes("Item").field("price").type == pa.float64()
        found = rows(store.read_nodes("Item", ["price"]), ["id"])
        assert [(row["price"], type(row["price"])) for row in found] == [(3.0, float), (4.0, float), (2.5, float)]
        with pytest.raises(SchemaError, match=r"Item\.price is double in the store, string in the schema"):
            store.create_schema(GraphSchema().with_attributes("Item", pa.schema([("price", pa.string())])))

    def test_a_new_encoder_replaces_the_vector(self, store: GraphStore) -> None:
        write_tiny(store)
        new = pa.table({"id": ["p1"], "embedding": [[0.5, 0.25]], "encoder": ["e2"]})
        assert store.write_nodes("Image", new) == 1
        assert store.write_nodes("Image", new) == 0
        found = {row["id"]: row for row in rows(store.read_nodes("Image", ["embedding", "uri"]), ["id"])}
        assert found["p1"]["embedding"] == [0.5, 0.25]
        assert found["p1"]["uri"] == "a.png"

    def test_new_changed_and_equal_relationships(self, store: GraphStore) -> None:
        write_tiny(store)
        update = pa.table(
            {
                "source": ["ann", "bob", "cat"],
                "target": ["film_a", "film_a", "film_a"],
                "weight": [9.0, 3.0, 1.0],
                "timestamp": [1, 4, 5],
                "split": ["train", "train", "train"],
            }
        )
        assert store.write_relationships(INTERACTED, update) == 2
        found = {(r["source"], r["target"]): r["weight"] for r in _read(store, INTERACTED, "weight")}
        assert (found["ann", "film_a"], found["cat", "film_a"], found["ann", "film_b"]) == (9.0, 1.0, 2.0)
        assert len(found) == 8

    def test_discriminators_keep_parallel_relationships_apart(self, store: GraphStore) -> None:
        write_tiny(store)
        other = pa.table({"source": ["p1"], "target": ["p2"], "score": [0.1], "encoder": ["e2"]})
        assert store.write_relationships(SIMILAR_IMAGES, other) == 1
        changed = pa.table({"source": ["p1"], "target": ["p2"], "score": [0.2], "encoder": ["e2"]})
        assert store.write_relationships(SIMILAR_IMAGES, changed) == 1
        scores = sorted(r["score"] for r in _read(store, SIMILAR_IMAGES, "score"))
        assert scores == [0.2, 0.8, 0.9]

    def test_the_last_of_two_rows_with_one_key_counts(self, store: GraphStore) -> None:
        store.create_schema(SCHEMA)
        assert store.write_nodes("Item", pa.table({"id": ["a", "a"], "title": ["first", "last"]})) == 1
        assert rows(store.read_nodes("Item", ["title"]), ["id"]) == [{"id": "a", "title": "last"}]

    def test_empty_tables_write_nothing(self, store: GraphStore) -> None:
        write_tiny(store)
        assert store.write_nodes("Item", NODES["Item"].slice(0, 0)) == 0
        assert store.write_relationships(RELATED, EDGES[RELATED].slice(0, 0)) == 0

    def test_links_are_replaced_and_only_those_named_go(self, store: GraphStore) -> None:
        write_tiny(store)
        links = {"score": [0.9, 0.8], "rank": [1, 2], "created": ["t"] * 2}
        ann = {"source": ["ann"] * 2, "target": ["film_c", "film_d"]}
        for model in ("m", "other"):
            store.write_relationships(RECOMMENDED, pa.table({**ann, **links, "model": [model] * 2}))
        new = pa.table(
            {
                "source": ["ann", "bob"],
                "target": ["film_c", "film_d"],
                "score": [0.9, 0.1],
                "rank": [2, 1],
                "model": ["m", "m"],
                "created": ["t", "u"],
            }
        )
        stale = pa.table(
            {"source": ["ann", "ann", "nobody"], "target": ["film_d", "film_b", "film_d"], "model": ["m"] * 3}
        )
        assert store.replace_relationships(RECOMMENDED, new, stale) == 3
        kept = [(r["source"], r["target"], r["model"], r["rank"]) for r in _links(store)]
        assert kept == [
            ("ann", "film_c", "m", 2),
            ("ann", "film_c", "other", 1),
            ("ann", "film_d", "other", 2),
            ("bob", "film_d", "m", 1),
        ]
        assert store.replace_relationships(RECOMMENDED, new, stale) == 0
        assert store.replace_relationships(RECOMMENDED, new.slice(0, 0), new) == 2
        assert {r["model"] for r in _links(store)} == {"other"}

    def test_a_replacement_with_a_missing_end_changes_nothing(self, store: GraphStore) -> None:
        write_tiny(store)
        follows = pa.table({"source": ["cat"], "target": ["ann"]})
        with pytest.raises(StoreError, match="nobody"):
            store.replace_relationships(FOLLOWS, pa.table({"source": ["cat"], "target": ["nobody"]}), follows)
        assert rows(store.read_relationships(FOLLOWS), ["source"]) == follows.to_pylist()

    def test_deleted_nodes_take_their_relationships_along(self, store: GraphStore) -> None:
        write_tiny(store)
        assert store.delete_nodes("Item", ["film_c", "nowhere"]) == 1
        assert [r["id"] for r in rows(store.read_nodes("Item", []), ["id"])] == ["film_a", "film_b", "film_d"]
        left = store.counts().relationships
        assert (left["INTERACTED"], left["HAS_IMAGE"], left["RELATED"]) == (5, 2, 4)
        assert store.delete_nodes("Item", []) == 0
        assert write_tiny(store) == 5
        with pytest.raises(SchemaError, match="Robot"):
            store.delete_nodes("Robot", ["r2"])

    def test_many_rows_between_few_nodes_are_all_written(self, store: GraphStore) -> None:
        store.create_schema(SCHEMA)
        store.write_nodes("User", pa.table({"id": [f"u{n}" for n in range(160)]}))
        pairs = [(f"u{a}", f"u{b}") for a in range(160) for b in range(160)]
        table = pa.table({"source": [a for a, _ in pairs], "target": [b for _, b in pairs]})
        assert store.write_relationships(FOLLOWS, table) == 25_600
        assert store.counts().relationships["FOLLOWS"] == 25_600
        assert store.write_relationships(FOLLOWS, table) == 0

    def test_odd_ids_survive(self, store: GraphStore) -> None:
        store.create_schema(SCHEMA)
        odd = ["", "a'b", 'a"b', "a\\b", "a\nb", "電影", "x" * 2000, "`", "$x", "}) DETACH DELETE n //"]
        assert store.write_nodes("Item", pa.table({"id": odd, "title": odd})) == len(odd)
        assert store.write_nodes("Item", pa.table({"id": odd, "title": odd})) == 0
        found = rows(store.read_nodes("Item", ["title"]), ["id"])
        assert found == [{"id": text, "title": text} for text in sorted(odd)]
        pairs = pa.table({"source": odd[1:], "target": odd[:-1]})
        links = pairs.append_column("relation", pa.array(odd[1:]))
        store.write_nodes("Entity", pa.table({"id": odd}))
        assert store.write_relationships(RELATED, links) == len(odd) - 1
        assert store.write_relationships(RELATED, links) == 0

    def test_a_missing_end_is_an_error_and_writes_nothing(self, store: GraphStore) -> None:
        write_tiny(store)
        bad = pa.table({"source": ["cat", "nobody"], "target": ["film_a", "film_a"], "split": ["train", "train"]})
        with pytest.raises(StoreError, match="nobody"):
            store.write_relationships(INTERACTED, bad)
        assert store.counts().relationships == EDGE_COUNTS

    def test_names_outside_the_schema_are_refused(self, store: GraphStore) -> None:
        write_tiny(store)
        with pytest.raises(SchemaError, match="colour"):
            store.write_nodes("Item", pa.table({"id": ["film_a"], "colour": ["red"]}))
        with pytest.raises(SchemaError, match="Robot"):
            store.write_nodes("Robot", pa.table({"id": ["r2"]}))
        with pytest.raises(SchemaError, match="LOVES"):
            store.write_relationships(EdgeType("User", "LOVES", "Item"), EDGES[INTERACTED])
        with pytest.raises(SchemaError, match="id"):
            store.write_nodes("Item", pa.table({"id": pa.array([None], pa.string())}))
        with pytest.raises(SchemaError, match="relation"):
            store.write_relationships(RELATED, EDGES[RELATED].drop_columns(["relation"]))
        with pytest.raises(SchemaError, match="year"):
            store.write_nodes("Item", pa.table({"id": ["film_a"], "year": ["soon"]}))

    def test_a_later_schema_adds_attributes_and_keeps_rows(self, store: GraphStore) -> None:
        write_tiny(store)
        store.create_schema(SCHEMA.with_attributes("Item", pa.schema([("colour", pa.string())])))
        assert store.counts().nodes == NODE_COUNTS
        assert store.write_nodes("Item", pa.table({"id": ["film_a"], "colour": ["red"]})) == 1
        found = {row["id"]: row["colour"] for row in rows(store.read_nodes("Item", ["colour"]), ["id"])}
        assert found == {"film_a": "red", "film_b": None, "film_c": None, "film_d": None}

    def test_query_with_parameters(self, store: GraphStore) -> None:
        write_tiny(store)
        table = store.query(
            "MATCH (u:User)-[r:INTERACTED]->(i:Item) WHERE u.id = $user AND r.split = 'train' "
            "RETURN i.id AS item, r.weight AS weight ORDER BY item",
            {"user": "ann"},
        )
        assert table.to_pylist() == [{"item": "film_a", "weight": 5.0}, {"item": "film_b", "weight": 2.0}]
        assert store.query("MATCH (n:Item) WHERE n.id IN $ids RETURN n.id AS id", {"ids": []}).num_rows == 0

    def test_query_over_shared_media(self, store: GraphStore) -> None:
        write_tiny(store)
        table = store.query(
            "MATCH (a:Item)-[:HAS_IMAGE]->(m:Image)<-[:HAS_IMAGE]-(b:Item) "
            "WHERE a.id = $item AND b.id <> a.id RETURN b.id AS item, m.id AS picture",
            {"item": "film_a"},
        )
        assert table.to_pylist() == [{"item": "film_c", "picture": "p1"}]

    def test_query_counts_are_whole_numbers(self, store: GraphStore) -> None:
        write_tiny(store)
        table = store.query("MATCH (i:Item) RETURN count(i) AS n, sum(i.year) AS years")
        assert table.to_pylist() == [{"n": 4, "years": 5973}]
        assert table.schema.types == [pa.int64(), pa.int64()]

    def test_query_row_limit(self, store: GraphStore) -> None:
        write_tiny(store)
        for limit in (1, 3):
            assert store.query("MATCH (i:Item) RETURN i.id AS id", limit=limit).num_rows == limit
            assert store.query("MATCH (i:Item) RETURN i.id AS id LIMIT 100;", limit=limit).num_rows == limit

    def test_a_query_never_writes(self, store: GraphStore) -> None:
        write_tiny(store)
        for cypher in WRITES:
            with pytest.raises(QueryRefused) as caught:
                store.query(cypher)
            assert "\n" not in str(caught.value)
        assert store.counts().nodes == NODE_COUNTS
        assert write_tiny(store) == 0

    def test_a_mistake_in_a_query_is_one_line(self, store: GraphStore) -> None:
        write_tiny(store)
        for cypher in ("MATCH (i:Item RETURN i", "MATCH (i:Item) RETURN j"):
            with pytest.raises(StoreError) as caught:
                store.query(cypher)
            assert "\n" not in str(caught.value)
        assert store.query("MATCH (i:Item) RETURN count(i) AS n")["n"].to_pylist() == [4]

    def test_a_slow_query_is_stopped(self, store: GraphStore) -> None:
        store.create_schema(SCHEMA)
        store.write_nodes("Item", pa.table({"id": [f"i{n}" for n in range(2000)]}))
        with pytest.raises(StoreError, match=r"time|stopped"):
            store.query(
                "MATCH (a:Item), (b:Item), (c:Item) WHERE a.id + b.id + c.id = 'x' RETURN count(*) AS n",
                timeout=0.5,
            )
        assert store.query("MATCH (i:Item) RETURN count(i) AS n")["n"].to_pylist() == [2000]

    def test_hetero_is_the_same_in_whatever_order_rows_were_written(self, store: GraphStore) -> None:
        write_tiny(store)
        assert graph_hash(read_hetero(store)) == TINY_HASH

    def test_attributes_that_items_share_are_codes(self, store: GraphStore) -> None:
        columns = {
            "id": [f"i{n}" for n in range(6)],
            "title": [f"Title {n}" for n in range(6)],
            "价格 类": ["高", "低", None, "高", "低", "高"],
            "new": [True, False, None, True, None, False],
            "sku": [f"s{n}" for n in range(6)],
            "year": [1, 1, 1, 1, 1, 1],
        }
        table = pa.table(columns)
        store.create_schema(GraphSchema().with_attributes("Item", table.drop_columns(["id", "title"]).schema))
        store.write_nodes("Item", table)
        data = read_hetero(store)
        found = {name: codes.tolist() for name, codes in data.attributes.items()}
        assert found == {"价格 类": [1, 0, -1, 1, 0, 1], "new": [1, 0, -1, 1, -1, 0]}
        other = data.clone()
        other.attributes["new"][0] = 0
        assert graph_hash(other) != graph_hash(data)

    def test_shared_media_is_one_node(self, store: GraphStore) -> None:
        write_tiny(store)
        data = read_hetero(store)
        assert data[HAS_IMAGE].edge_index.tolist() == [[0, 1, 2], [0, 1, 0]]

    def test_closing_twice_is_fine_and_a_closed_store_says_so(self, store: GraphStore) -> None:
        store.create_schema(SCHEMA)
        store.close()
        store.close()
        with pytest.raises(StoreError, match="closed"):
            store.query("MATCH (n:Item) RETURN n.id")


def _read(store: GraphStore, edge: EdgeType, column: str) -> list[dict[str, Any]]:
    return rows(store.read_relationships(edge, [column]), ["source", "target"])


def _links(store: GraphStore) -> list[dict[str, Any]]:
    return rows(store.read_relationships(RECOMMENDED, ["rank", "model"]), ["source", "target", "model"])


TINY_HASH = "71ef5d09849ed8431e7c37defbaee61714ba87e5f4ac4b3387ab3317de0632cb"
"""`graph_hash` of the tiny graph: one constant, so that stores, platforms and versions agree."""
