"""`build --bulk` without a server at hand: what it writes, what it tells, what it refuses."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]
NEO4J = ("--set", "store=bolt://127.0.0.1:9")


@pytest.fixture(autouse=True)
def no_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NEO4J_HOME", raising=False)


def test_without_a_local_server_the_command_is_told(config: Path, modalweave: Run) -> None:
    done = modalweave("build", config, "--bulk", *NEO4J, "--json")
    assert done.code == 0, done.err
    told = done.json()["import"]
    assert not told["done"] and "neo4j-admin database import full neo4j" in told["next"]
    assert "modalweave build" in told["next"] and done.json()["written"] == 0
    interactions = Path(told["folder"]) / "User-INTERACTED-Item.csv"
    assert len(interactions.read_text().splitlines()) == 1 + 420
    assert done.json()["relationships"]["INTERACTED"] == 420
    assert "Next: copy" in modalweave("build", config, "--bulk", *NEO4J).out


def test_a_named_database_is_the_one_imported(config: Path, modalweave: Run) -> None:
    done = modalweave("build", config, "--bulk", *NEO4J, "--set", "database=films", "--json")
    assert "import full films" in done.json()["import"]["next"]


def test_the_embedded_store_needs_no_bulk(config: Path, modalweave: Run) -> None:
    refused = modalweave("build", config, "--bulk")
    assert refused.code == 1 and "--bulk is for a Neo4j address" in refused.err


def test_a_home_without_the_command_is_refused_before_any_work(config: Path, modalweave: Run, tmp_path: Path) -> None:
    refused = modalweave("build", config, "--bulk", *NEO4J, "--neo4j-home", tmp_path)
    assert refused.code == 1 and f"{tmp_path} holds no bin/neo4j-admin" in refused.err
    assert not (tmp_path / "run").exists()
