"""`modalweave doctor` on a store: what a graph wants of constraints and indexes, and what to do where they lack."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import neo4j
import pytest

from graph.neo4j.store import Neo4jStore
from tests.devserver import Server
from tests.graph.tiny_graph import write_tiny

Run = Callable[..., Any]


def checks(outcome: Any) -> dict[str, dict[str, str]]:
    return {check["name"]: check for check in outcome.json()["checks"]}


@pytest.mark.neo4j
class TestIndexes:
    @pytest.fixture
    def at_server(self, config: Path, neo4j_clean: Server, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setenv("NEO4J_USERNAME", neo4j_clean.credentials[0])
        monkeypatch.setenv("NEO4J_PASSWORD", neo4j_clean.credentials[1])
        config.write_text(config.read_text() + f"store: {neo4j_clean.address}\n")
        return config

    def test_an_empty_server_only_lacks_a_build(self, at_server: Path, modalweave: Run) -> None:
        done = modalweave("doctor", at_server, "--json")
        assert done.code == 0
        found = checks(done)["indexes"]
        assert found["state"] == "missing" and "modalweave_user_id absent" in found["found"]

    def test_a_dropped_index_is_named(
        self, at_server: Path, modalweave: Run, neo4j_store: Neo4jStore, neo4j_clean: Server
    ) -> None:
        write_tiny(neo4j_store)
        found = checks(modalweave("doctor", at_server, "--json"))["indexes"]
        # six keys, the written-back model, the words and the vectors of Image
        assert (found["state"], found["found"]) == ("ok", "9 constraints and indexes online")
        with neo4j.GraphDatabase.driver(neo4j_clean.address, auth=neo4j_clean.credentials) as driver:
            driver.execute_query("DROP INDEX modalweave_image")
            driver.execute_query("DROP CONSTRAINT modalweave_user_id")
        broken = modalweave("doctor", at_server, "--json")
        assert broken.code == 1
        found = checks(broken)["indexes"]
        assert found["found"] == "modalweave_user_id absent, modalweave_image absent"
        assert "modalweave build" in found["fix"]
