"""The Neo4j store on a real server: the shared suite, and what only a server does."""

import logging
from collections.abc import Iterator

import neo4j
import numpy as np
import pyarrow as pa
import pytest

from graph import EdgeType, GraphError, GraphSchema, SchemaError, StoreError, open_store
from graph.cookbook.nearest_media import similar, similar_to_vector
from graph.names import quoted
from graph.neo4j import read as neo4j_read
from graph.neo4j import write as neo4j_write
from graph.neo4j.errors import server_error
from graph.neo4j.store import Neo4jStore
from graph.store import GraphStore
from tests.devserver import Server
from tests.graph.store_cases import StoreCases
from tests.graph.tiny_graph import NODE_COUNTS, SCHEMA, write_tiny


@pytest.mark.neo4j
class TestNeo4jStore(StoreCases):
    @pytest.fixture
    def store(self, neo4j_store: Neo4jStore) -> GraphStore:
        return neo4j_store


@pytest.mark.neo4j
class TestServer:
    @pytest.fixture
    def driver(self, neo4j_clean: Server) -> Iterator[neo4j.Driver]:
        with neo4j.GraphDatabase.driver(neo4j_clean.address, auth=neo4j_clean.credentials) as driver:
            yield driver

    def test_constraints_and_indexes_exist(self, neo4j_store: Neo4jStore, driver: neo4j.Driver) -> None:
        write_tiny(neo4j_store)
        constraints = driver.execute_query("SHOW CONSTRAINTS YIELD labelsOrTypes AS l, properties AS p").records
        assert {(r["l"][0], r["p"][0]) for r in constraints} == {(label, "id") for label in NODE_COUNTS}
        found = driver.execute_query("SHOW INDEXES YIELD name, type, state").records
        kinds = {r["name"]: r["type"] for r in found}
        assert {r["state"] for r in found} == {"ONLINE"}
        assert kinds["modalweave_image"] == "VECTOR"
        assert kinds["modalweave_words"] == "FULLTEXT"
        assert not {name for name in kinds if "title" in name or "name" in name}  # long titles would not load

    def test_words_are_found(self, neo4j_store: Neo4jStore, driver: neo4j.Driver) -> None:
        write_tiny(neo4j_store)
        driver.execute_query("CALL db.awaitIndexes(60)")
        driver.execute_query("CALL db.index.fulltext.awaitEventuallyConsistentIndexRefresh()")
        found = neo4j_store.query(
            "CALL db.index.fulltext.queryNodes('modalweave_words', $words) YIELD node RETURN node.id AS id",
            {"words": "crows"},
        )
        assert found["id"].to_pylist() == ["film_c"]

    def test_vectors_come_back_bit_for_bit(self, neo4j_store: Neo4jStore) -> None:
        values = np.random.default_rng(0).normal(size=(500, 2)).astype(np.float32)
        values[0] = [np.float32(1e-42), np.finfo(np.float32).max]
        neo4j_store.create_schema(SCHEMA)
        ids = [f"v{n:03}" for n in range(500)]
        neo4j_store.write_nodes("Image", pa.table({"id": ids, "embedding": list(values)}))
        table = pa.Table.from_batches(neo4j_store.read_nodes("Image", ["embedding"])).sort_by("id")
        back = table["embedding"].combine_chunks().flatten().to_numpy().reshape(500, 2)
        assert (back.view(np.uint32) == values.view(np.uint32)).all()

    def test_a_vector_index_follows_a_new_length(self, neo4j_store: Neo4jStore) -> None:
        neo4j_store.create_schema(SCHEMA)
        neo4j_store.create_schema(SCHEMA.with_dimensions({"Image": 3}))
        neo4j_store.write_nodes("Image", pa.table({"id": ["a", "b"], "embedding": [[1.0, 0, 0], [0, 1.0, 0]]}))
        assert similar_to_vector(neo4j_store, "Image", [1, 0.1, 0], 1)["id"].to_pylist() == ["a"]
        neo4j_store.create_schema(SCHEMA)

    def test_batches_are_cut_by_vector_length(self, neo4j_store: Neo4jStore, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(neo4j_write, "BATCH_NUMBERS", 6)
        neo4j_store.create_schema(SCHEMA)
        table = pa.table({"id": list("abcdefg"), "embedding": [[float(n), 1.0] for n in range(7)]})
        assert neo4j_store.write_nodes("Image", table) == 7
        assert neo4j_store.counts().nodes["Image"] == 7

    def test_pages_and_parts_leave_nothing_out(self, neo4j_store: Neo4jStore, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(neo4j_read, "PAGE", 2)
        monkeypatch.setattr(neo4j_read, "PART", 3)
        neo4j_store.create_schema(SCHEMA)
        ids = ["", "\0", "a", "a\0", "a\0b", "a b", "ab", "B", "ä", "中", "\ue000", "😀", "😀a"]
        for label in ("User", "Item"):
            neo4j_store.write_nodes(label, pa.table({"id": ids}))
        assert sorted(i for b in neo4j_store.read_nodes("User", []) for i in b["id"].to_pylist()) == sorted(ids)
        pairs = [(a, b) for n, a in enumerate(ids) for b in ids[: (5 * n) % 8]]
        weights = [None if n % 3 else float(n) for n in range(len(pairs))]
        ends = {"source": [a for a, _ in pairs], "target": [b for _, b in pairs]}
        table = pa.table({**ends, "weight": pa.array(weights, pa.float64())})
        assert neo4j_store.write_relationships(EdgeType("User", "INTERACTED", "Item"), table) == len(pairs)
        assert neo4j_store.write_relationships(EdgeType("User", "INTERACTED", "Item"), table) == 0
        found = pa.Table.from_batches(
            neo4j_store.read_relationships(EdgeType("User", "INTERACTED", "Item"), ["weight"])
        )
        key = [("source", "ascending"), ("target", "ascending")]
        assert found.sort_by(key).to_pylist() == table.sort_by(key).to_pylist()

    def test_attributes_are_known_after_reopening(self, neo4j_store: Neo4jStore, neo4j_clean: Server) -> None:
        write_tiny(neo4j_store)
        with open_store(neo4j_clean.address, credentials=neo4j_clean.credentials) as again:
            batches = again.read_nodes("Item", ["year", "price"])
            found = {r["id"]: (r["year"], r["price"]) for b in batches for r in b.to_pylist()}
            assert found["film_b"] == (1999, 2.5)
            assert again.write_nodes("Item", pa.table({"id": ["film_b"], "year": [1999]})) == 0
            with pytest.raises(SchemaError, match="colour"):
                list(again.read_nodes("Item", ["colour"]))

    def test_writing_before_the_schema_is_refused(
        self, neo4j_store: Neo4jStore, neo4j_clean: Server, driver: neo4j.Driver
    ) -> None:
        neo4j_store.create_schema(SCHEMA)
        driver.execute_query("DROP CONSTRAINT modalweave_user_id")
        with (
            open_store(neo4j_store.address, credentials=neo4j_clean.credentials) as fresh,
            pytest.raises(SchemaError, match="key for User; call create_schema"),
        ):
            fresh.write_nodes("User", pa.table({"id": ["x"]}))
        neo4j_store.create_schema(SCHEMA)

    def test_read_only(self, neo4j_store: Neo4jStore, neo4j_clean: Server) -> None:
        write_tiny(neo4j_store)
        with open_store(neo4j_clean.address, credentials=neo4j_clean.credentials, read_only=True) as store:
            assert store.counts().nodes == NODE_COUNTS
            with pytest.raises(StoreError, match="reading only"):
                store.write_nodes("User", pa.table({"id": ["x"]}))

    def test_nodes_come_as_json_without_their_vector(self, neo4j_store: Neo4jStore) -> None:
        write_tiny(neo4j_store)
        found = neo4j_store.query("MATCH p = (i:Item)-[r:HAS_IMAGE]->(m) WHERE i.id = 'film_b' RETURN m, r, p")
        row = found.to_pylist()[0]
        assert '"labels": ["Image"]' in row["m"]
        assert "embedding" not in row["m"]
        assert '"type": "HAS_IMAGE"' in row["r"]
        assert '"nodes"' in row["p"]

    def test_wrong_credentials_in_one_line_without_the_password(self, neo4j_clean: Server) -> None:
        with pytest.raises(StoreError, match="user 'neo4j' or the password is wrong") as caught:
            open_store(neo4j_clean.address, credentials=("neo4j", "secret-guess"))
        assert neo4j_clean.address in str(caught.value)
        assert "secret-guess" not in str(caught.value)
        with pytest.raises(StoreError, match="user and a password"):
            open_store(neo4j_clean.address)

    def test_an_unknown_database_is_named(self, neo4j_clean: Server) -> None:
        with pytest.raises(StoreError, match="database 'nowhere' does not exist"):
            open_store(neo4j_clean.address, credentials=neo4j_clean.credentials, database="nowhere")

    def test_similar_is_the_same_as_exact_search(
        self, neo4j_store: Neo4jStore, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        values = np.random.default_rng(1).normal(size=(300, 16)).astype(np.float32)
        table = pa.table({"id": [f"v{n}" for n in range(300)], "embedding": list(values)})
        schema = GraphSchema().with_dimensions({"Audio": 16})
        with open_store(f"ladybug:{tmp_path_factory.mktemp('similar') / 'g'}") as exact:
            for store in (exact, neo4j_store):
                store.create_schema(schema)
                store.write_nodes("Audio", table)
            ours, theirs = (similar(s, "Audio", "v7", 10) for s in (neo4j_store, exact))
        assert "v7" not in ours["id"].to_pylist()
        assert len(set(ours["id"].to_pylist()) & set(theirs["id"].to_pylist())) >= 9
        assert abs(ours["score"][0].as_py() - theirs["score"][0].as_py()) < 1e-5


def test_an_unreachable_server_is_named_at_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    with pytest.raises(StoreError, match=r"bolt://127.0.0.1:9: no Neo4j server answers") as caught:
        open_store("bolt://127.0.0.1:9", credentials=("neo4j", "secret-guess"))
    assert "\n" not in str(caught.value)
    assert "secret-guess" not in str(caught.value)


def test_credentials_in_the_address_are_refused_without_repeating_them() -> None:
    with pytest.raises(GraphError, match="bolt://host:7687") as caught:
        open_store("bolt://neo4j:secret-guess@host:7687")
    assert "secret-guess" not in str(caught.value)


def test_a_full_disk_is_said_plainly() -> None:
    class FullDisk(neo4j.exceptions.Neo4jError):
        code = "Neo.DatabaseError.Transaction.TransactionCommitFailed"
        message = "java.io.IOException:\n No space left on device"

    text = str(server_error("bolt://h:1", "neo4j", None, FullDisk()))
    assert text.startswith("bolt://h:1: the server's disk is full")
    assert "\n" not in text


def test_identifiers_are_quoted_so_that_nothing_ends_them() -> None:
    assert quoted("HAS_IMAGE") == "`HAS_IMAGE`" and quoted("价格") == "`价格`" and quoted("a b") == "`a b`"
    assert quoted("x`}) DETACH DELETE n //") == "`x``}) DETACH DELETE n //`"
    for name in ("", " ", "a\\u0060b", "a\nb", "a\0b", "\u2028", "x" * 300):
        with pytest.raises(SchemaError, match="no name for a graph"):
            quoted(name)
