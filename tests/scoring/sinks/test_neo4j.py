"""Vectors on the nodes of a real Neo4j: Cypher finds similar items, similar users and a user's items by the model."""

import re
from collections.abc import Iterator
from pathlib import Path

import neo4j
import numpy as np
import pyarrow as pa
import pytest

from gnn.bundle.vectors import ModelVectors
from graph.errors import StoreError
from graph.neo4j.store import Neo4jStore
from graph.schema import GraphSchema
from scoring.sinks import SINKS, Access
from scoring.sinks.neo4j import targets
from tests.devserver import Server
from tests.scoring.sinks.conftest import ITEMS, USERS, best, most_like

GUIDE = (Path(__file__).parents[3] / "docs" / "export.md").read_text(encoding="utf-8")
SIMILAR, PEOPLE, RECOMMENDED = re.findall(r"^```cypher\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)
INDEXES = "SHOW INDEXES YIELD name, type, state, options WHERE type = 'VECTOR' AND name CONTAINS 'model' RETURN *"


@pytest.fixture
def graph(neo4j_store: Neo4jStore, vectors: ModelVectors) -> Neo4jStore:
    """The nodes of the model but for its last item, and one user whom it does not know."""
    neo4j_store.create_schema(GraphSchema())
    neo4j_store.write_nodes("User", pa.table({"id": [*vectors.user_ids, "newcomer"]}))
    neo4j_store.write_nodes("Item", pa.table({"id": list(vectors.item_ids[:-1])}))
    return neo4j_store


@pytest.fixture
def session(neo4j_clean: Server) -> Iterator[neo4j.Session]:
    with (
        neo4j.GraphDatabase.driver(neo4j_clean.address, auth=neo4j_clean.credentials) as driver,
        driver.session() as session,
    ):
        yield session


def _write(server: Server, vectors: ModelVectors) -> int:
    return SINKS["bolt"](vectors, server.address, Access(server.credentials), None)


@pytest.mark.neo4j
class TestVectors:
    def test_cypher_finds_what_the_model_finds(
        self, graph: Neo4jStore, neo4j_clean: Server, session: neo4j.Session, vectors: ModelVectors
    ) -> None:
        assert _write(neo4j_clean, vectors) == USERS + ITEMS - 1
        gone = vectors.item_ids[-1]
        for item in (0, 3, 9):
            wanted = [i for i in most_like(vectors, item, 6) if i != gone][:5]
            assert session.run(SIMILAR, id=vectors.item_ids[item]).value(0) == wanted
        for user in (1, 2, 13):
            wanted = [i for i in best(vectors, user, ITEMS) if i != gone]
            assert session.run(RECOMMENDED, id=vectors.user_ids[user]).value(0) == wanted[:20]
            unit = vectors.users / np.linalg.norm(vectors.users, axis=1, keepdims=True)
            people = session.run(PEOPLE, id=vectors.user_ids[user]).value("near")
            nearest = np.sort(unit @ unit[user])[::-1][1:6]
            assert people == pytest.approx((1 + nearest) / 2, abs=1e-5)

    def test_the_same_vectors_twice_write_nothing(
        self, graph: Neo4jStore, neo4j_clean: Server, session: neo4j.Session, vectors: ModelVectors
    ) -> None:
        assert _write(neo4j_clean, vectors) == USERS + ITEMS - 1
        assert _write(neo4j_clean, vectors) == 0
        session.run("MATCH (i:Item) WITH i LIMIT 2 REMOVE i.vector_model").consume()
        assert _write(neo4j_clean, vectors) == 2, "a call cut off half-way is finished"

    def test_a_later_model_replaces_the_earlier_one(
        self,
        graph: Neo4jStore,
        neo4j_clean: Server,
        session: neo4j.Session,
        vectors: ModelVectors,
        other_vectors: ModelVectors,
    ) -> None:
        for one in (vectors, other_vectors):
            _write(neo4j_clean, one)
        sizes = {row["name"]: row["options"]["indexConfig"]["vector.dimensions"] for row in session.run(INDEXES)}
        dim = other_vectors.dimensions
        assert sizes == {
            "modalweave_user_model_vector": dim,
            "modalweave_item_model_vector": dim,
            "modalweave_item_model_target": dim + 1,
        }
        held = session.run("MATCH (i:Item) WHERE i.model_vector IS NOT NULL RETURN i.id AS id").value("id")
        assert sorted(held) == sorted(other_vectors.item_ids), "an item that it does not know has none of the earlier"
        assert session.run(SIMILAR, id=other_vectors.item_ids[0]).value(0) == most_like(other_vectors, 0, 5)

    def test_the_graph_is_built_and_scored_on_as_before(
        self, graph: Neo4jStore, neo4j_clean: Server, vectors: ModelVectors
    ) -> None:
        _write(neo4j_clean, vectors)
        assert graph.attributes("Item").names == [], "nothing of a dataset, so a build does not take it away"
        assert graph.write_nodes("Item", pa.table({"id": list(vectors.item_ids[:-1])})) == 0

    def test_a_server_without_the_graph_is_refused(
        self, neo4j_clean: Server, session: neo4j.Session, vectors: ModelVectors
    ) -> None:
        session.run("MATCH (n) DETACH DELETE n").consume()
        for name in session.run("SHOW CONSTRAINTS YIELD name").value("name"):
            session.run(f"DROP CONSTRAINT `{name}`").consume()
        with pytest.raises(StoreError, match=r"has no index on User\.id; build the graph into it first"):
            _write(neo4j_clean, vectors)


def test_targets_are_equally_long_and_rank_by_cosine_as_by_inner_product(vectors: ModelVectors) -> None:
    found = targets(vectors.items)
    assert np.linalg.norm(found, axis=1) == pytest.approx(np.linalg.norm(vectors.items, axis=1).max(), rel=1e-5)
    users = np.concatenate([vectors.users, np.zeros((USERS, 1), np.float32)], axis=1)
    assert users @ found.T == pytest.approx(vectors.users @ vectors.items.T, abs=1e-5)
