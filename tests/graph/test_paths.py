"""Paths on the embedded store."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from graph import GraphStore, open_store
from tests.graph.path_cases import PathCases
from tests.graph.tiny_graph import write_tiny


class TestLadybugPaths(PathCases):
    @pytest.fixture
    def tiny(self, tmp_path: Path) -> Iterator[GraphStore]:
        with open_store(f"ladybug:{tmp_path}") as store:
            write_tiny(store)
            yield store
