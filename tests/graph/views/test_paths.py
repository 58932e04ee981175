"""Paths on both stores."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from graph import GraphStore, open_store
from graph.neo4j.store import Neo4jStore
from tests.graph.path_cases import PathCases
from tests.graph.tiny_graph import write_tiny


class TestLadybugPaths(PathCases):
    @pytest.fixture
    def tiny(self, tmp_path: Path) -> Iterator[GraphStore]:
        with open_store(f"ladybug:{tmp_path}") as store:
            write_tiny(store)
            yield store


@pytest.mark.neo4j
class TestNeo4jPaths(PathCases):
    @pytest.fixture
    def tiny(self, neo4j_store: Neo4jStore) -> GraphStore:
        write_tiny(neo4j_store)
        return neo4j_store
