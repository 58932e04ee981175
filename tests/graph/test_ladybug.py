"""The embedded store: the shared suite, and what only a file can do (locks, damage, kills)."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from graph import GraphStore, open_store
from tests.graph.store_cases import StoreCases


class TestLadybugStore(StoreCases):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[GraphStore]:
        store = open_store(f"ladybug:{tmp_path / 'graph'}")
        yield store
        store.close()
