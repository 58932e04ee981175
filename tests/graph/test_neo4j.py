"""The Neo4j store on a real server: the shared suite, and what only it does."""

import pytest

from graph.neo4j import Neo4jStore
from graph.store import GraphStore
from tests.graph.store_cases import StoreCases

pytestmark = pytest.mark.neo4j


class TestNeo4jStore(StoreCases):
    @pytest.fixture
    def store(self, neo4j_store: Neo4jStore) -> GraphStore:
        return neo4j_store
