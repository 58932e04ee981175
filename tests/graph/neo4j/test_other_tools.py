"""A server that holds other tools' constraints and indexes, long values, long vectors, and names a query mistakes."""

from collections.abc import Callable, Iterator

import neo4j
import numpy as np
import pyarrow as pa
import pytest

from graph import GraphSchema, StoreError, open_store
from graph.cookbook.nearest_media import similar_to_vector
from graph.neo4j.store import Neo4jStore
from tests.devserver import Server
from tests.graph.tiny_graph import SCHEMA, write_tiny
from tests.neo4j_server import drop_schema, empty

pytestmark = pytest.mark.neo4j

Run = Callable[..., list[neo4j.Record]]


@pytest.fixture
def run(neo4j_clean: Server) -> Iterator[Run]:
    """A statement on the server, which holds no data, constraint or index before and after."""
    empty(neo4j_clean)
    drop_schema(neo4j_clean)
    with neo4j.GraphDatabase.driver(
        neo4j_clean.address, auth=neo4j_clean.credentials, notifications_min_severity="OFF"
    ) as driver:
        yield lambda statement, **values: driver.execute_query(statement, **values).records
    empty(neo4j_clean)
    drop_schema(neo4j_clean)


def test_titles_and_names_of_any_length_load(run: Run, neo4j_store: Neo4jStore) -> None:
    run("CREATE INDEX modalweave_item_title FOR (n:Item) ON (n.title)")  # an earlier version made it
    neo4j_store.create_schema(SCHEMA)
    title = "long " * 20_000
    assert neo4j_store.write_nodes("Item", pa.table({"id": ["i"], "title": [title]})) == 1
    assert neo4j_store.write_nodes("Entity", pa.table({"id": ["e"], "name": ["n" * 40_000], "type": ["x"]})) == 1
    assert neo4j_store.write_nodes("Item", pa.table({"id": ["i"], "title": [title]})) == 0
    assert set(neo4j_store.index_states().values()) == {"ONLINE"}


def test_a_key_too_long_is_refused_before_its_rows(run: Run, neo4j_store: Neo4jStore) -> None:
    neo4j_store.create_schema(GraphSchema())
    assert neo4j_store.write_nodes("User", pa.table({"id": ["u" * 8_164]})) == 1
    with pytest.raises(StoreError, match=r"User id 'uuu.*has 8,165 bytes; Neo4j's keys have 8,164"):
        neo4j_store.write_nodes("User", pa.table({"id": ["a", "u" * 8_165]}))
    assert neo4j_store.counts().nodes["User"] == 1


def test_another_tools_index_that_takes_no_long_value_is_named(run: Run, neo4j_store: Neo4jStore) -> None:
    run("CREATE INDEX theirs FOR (n:Item) ON (n.title)")
    neo4j_store.create_schema(GraphSchema())
    with pytest.raises(StoreError, match=r":Item \{title\} is too long for index 'theirs'; run `DROP INDEX theirs`"):
        neo4j_store.write_nodes("Item", pa.table({"id": ["i"], "title": ["t" * 9_000]}))


def test_constraints_and_indexes_under_other_names_serve(run: Run, neo4j_clean: Server) -> None:
    run("CREATE CONSTRAINT theirs FOR (n:User) REQUIRE n.id IS UNIQUE")
    run(
        "CREATE VECTOR INDEX `their ``own` FOR (n:Image) ON n.embedding OPTIONS {indexConfig: "
        "{`vector.dimensions`: 2, `vector.similarity_function`: 'cosine'}}"
    )
    with Neo4jStore(neo4j_clean.address, credentials=neo4j_clean.credentials) as store:
        write_tiny(store)
        assert set(store.index_states().values()) == {"ONLINE"}
        assert store.vector_index("Image", 2) == "their `own"
        assert similar_to_vector(store, "Image", [1, 0.1], 1).num_rows == 1
        assert store.notes == []
    names = {r["name"] for r in run("SHOW INDEXES YIELD name")}
    assert "theirs" in names and not names & {"modalweave_user_id", "modalweave_image"}


@pytest.mark.parametrize(
    ("made", "message"),
    [
        ("CREATE INDEX theirs FOR (n:User) ON (n.id)", r"index 'theirs' on :User\(id\).*run `DROP INDEX `theirs`"),
        (
            "CREATE CONSTRAINT modalweave_item_id FOR (n:Person) REQUIRE n.name IS UNIQUE",
            r"constraint 'modalweave_item_id' on :Person\(name\).*run `DROP CONSTRAINT",
        ),
    ],
)
def test_what_stands_in_the_way_is_told_before_anything_is_made(
    run: Run, neo4j_store: Neo4jStore, made: str, message: str
) -> None:
    run(made)
    with pytest.raises(StoreError, match=message) as caught:
        neo4j_store.create_schema(SCHEMA)
    assert "\n" not in str(caught.value)
    assert len(run("SHOW INDEXES YIELD type WHERE type <> 'LOOKUP' RETURN type")) == 1


def test_what_is_half_made_or_of_another_kind_under_our_names_is_made_anew(run: Run, neo4j_store: Neo4jStore) -> None:
    run("CREATE (:Half {x: $long})", long="x" * 9_000)
    run("CREATE INDEX modalweave_user_id FOR (n:Half) ON (n.x)")  # ends FAILED
    run("CREATE FULLTEXT INDEX modalweave_words FOR (n:Item) ON EACH [n.title]")
    run("CREATE INDEX broken_elsewhere FOR (n:Half) ON (n.x, n.y)")
    write_tiny(neo4j_store)
    assert set(neo4j_store.index_states().values()) == {"ONLINE"}


def test_two_nodes_of_other_data_with_one_id_are_named(run: Run, neo4j_store: Neo4jStore) -> None:
    run("CREATE (:User {id: 'x'}), (:User {id: 'x'})")
    with pytest.raises(StoreError, match=r"several :User nodes have id = 'x', of other data; delete or relabel"):
        neo4j_store.create_schema(SCHEMA)


def test_vectors_longer_than_an_index_takes_are_searched_one_by_one(run: Run, neo4j_store: Neo4jStore) -> None:
    neo4j_store.create_schema(GraphSchema().with_dimensions({"Image": 5_000}))
    assert "Image vectors have 5,000 numbers, more than the 4,096 that Neo4j indexes" in neo4j_store.notes[0]
    values = np.random.default_rng(0).normal(size=(4, 5_000)).astype(np.float32)
    assert neo4j_store.write_nodes("Image", pa.table({"id": list("abcd"), "embedding": list(values)})) == 4
    found = similar_to_vector(neo4j_store, "Image", values[2], 2)
    assert found["id"][0].as_py() == "c" and found["score"][0].as_py() == pytest.approx(1.0)
    assert set(neo4j_store.index_states().values()) == {"ONLINE"}


def test_another_tools_vector_index_of_another_length_is_told(run: Run, neo4j_store: Neo4jStore) -> None:
    run(
        "CREATE VECTOR INDEX theirs FOR (n:Image) ON n.embedding OPTIONS {indexConfig: "
        "{`vector.dimensions`: 3, `vector.similarity_function`: 'cosine'}}"
    )
    write_tiny(neo4j_store)
    assert "index 'theirs' on :Image(embedding) of another tool is for 3" in neo4j_store.notes[0]
    assert similar_to_vector(neo4j_store, "Image", [1, 0.1], 1).num_rows == 1


def test_names_that_the_graph_lacks_are_told_with_the_nearest(run: Run, neo4j_store: Neo4jStore) -> None:
    write_tiny(neo4j_store)
    found = neo4j_store.query(
        "MATCH (i:Itme) OPTIONAL MATCH (i)-[:HAS_IMGE]->(m) RETURN count(i) AS n, max(m.tilte) AS t"
    )
    assert found.to_pylist() == [{"n": 0, "t": None}]
    told = sorted(neo4j_store.notes)
    assert [note.split(";")[0] for note in told] == [
        "the graph has no label 'Itme'",
        "the graph has no property 'tilte'",
        "the graph has no relationship type 'HAS_IMGE'",
    ]
    assert [note.rpartition("you mean ")[2] for note in told] == ["'Item'?", "'title'?", "'HAS_IMAGE'?"]


def test_names_of_the_schema_without_any_data_are_not_told(run: Run, neo4j_store: Neo4jStore) -> None:
    neo4j_store.create_schema(GraphSchema())
    neo4j_store.query("MATCH (:User)-[r:FOLLOWS]->(:User) RETURN count(r) AS n")
    assert neo4j_store.notes == []


def test_a_database_by_its_name_in_the_address(run: Run, neo4j_clean: Server) -> None:
    with open_store(f"{neo4j_clean.address}#neo4j", credentials=neo4j_clean.credentials) as store:
        assert store.counts().nodes["User"] == 0
    with pytest.raises(StoreError, match="database 'films' does not exist"):
        open_store(f"{neo4j_clean.address}#films", credentials=neo4j_clean.credentials, database="neo4j")


def test_a_password_that_must_be_changed(run: Run, neo4j_clean: Server) -> None:
    run("CREATE USER fresh IF NOT EXISTS SET PASSWORD 'secret-guess' CHANGE REQUIRED", database_="system")
    try:
        with pytest.raises(
            StoreError, match=r"password of user 'fresh' must be changed first.*ALTER CURRENT USER"
        ) as caught:
            open_store(neo4j_clean.address, credentials=("fresh", "secret-guess"))
    finally:
        run("DROP USER fresh", database_="system")
    assert "secret-guess" not in str(caught.value) and "\n" not in str(caught.value)


def test_encryption_that_the_server_does_not_speak(neo4j_clean: Server) -> None:
    address = neo4j_clean.address.replace("bolt://", "bolt+s://")
    with pytest.raises(StoreError, match=r"does not speak TLS \(.*\); use bolt://"):
        open_store(address, credentials=neo4j_clean.credentials)
