"""A load outlasts its server: stopped, killed and started again in the middle; and a load that is itself killed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest

from graph import EdgeType, GraphSchema, StoreError, open_store
from graph.neo4j import connection as neo4j_connection
from graph.store import GraphStore
from tests.devserver import LocalServer, startable_versions
from tests.neo4j_server import server_from

USERS, ITEMS, DEGREE = 6_000, 400, 12
INTERACTED = EdgeType("User", "INTERACTED", "Item")


def load(store: GraphStore) -> int:
    """72,000 interactions between 6,000 users and 400 items; returns what was written."""
    store.create_schema(GraphSchema())
    users = pa.table({"id": [f"u{n}" for n in range(USERS)]})
    written = store.write_nodes("User", users)
    written += store.write_nodes("Item", pa.table({"id": [f"i{n}" for n in range(ITEMS)]}))
    pairs = [(f"u{u}", f"i{(u * 7 + k * k) % ITEMS}") for u in range(USERS) for k in range(DEGREE)]
    table = pa.table({"source": [u for u, _ in pairs], "target": [i for _, i in pairs]})
    split = pa.array(["train"] * len(pairs))
    return written + store.write_relationships(INTERACTED, table.append_column("split", split))


def links(store: GraphStore) -> pl.DataFrame:
    batches = store.read_relationships(INTERACTED, ["split"])
    return pl.concat([pl.DataFrame(batch) for batch in batches]).sort("source", "target")


def wait_for_links(server: LocalServer, wanted: int) -> int:
    """Until the server holds some interactions: then the load is in its middle. Returns how many."""
    with open_store(server.address, credentials=server.credentials, read_only=True) as watcher:
        for _ in range(6_000):
            if (held := watcher.counts().relationships["INTERACTED"]) >= wanted:
                return held
            time.sleep(0.02)
    pytest.fail(f"no {wanted} interactions came")


@pytest.fixture(scope="module", params=list(startable_versions())[:1] or ["none"])
def own_server(request: pytest.FixtureRequest) -> Iterator[LocalServer]:
    """A server of this module's own: the tests stop it."""
    with server_from(request.param) as server:
        assert isinstance(server, LocalServer)
        yield server


@pytest.fixture
def expected(tmp_path: Path) -> pl.DataFrame:
    with open_store(f"ladybug:{tmp_path}/graph") as store:
        load(store)
        return links(store)


@pytest.mark.neo4j
@pytest.mark.parametrize("kill", [False, True], ids=["stopped", "killed"])
def test_a_server_that_goes_away_in_mid_load_is_waited_for(
    own_server: LocalServer, expected: pl.DataFrame, kill: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neo4j_connection, "PATIENCE", 500.0)
    with (
        open_store(own_server.address, credentials=own_server.credentials) as store,
        ThreadPoolExecutor(1) as other,
    ):
        store.create_schema(GraphSchema())
        store.delete_nodes("User", [f"u{n}" for n in range(USERS)])
        loading = other.submit(load, store)
        assert wait_for_links(own_server, 8_000) < USERS * DEGREE, "the load was over already"
        own_server.stop(kill=kill)
        own_server.start()
        loading.result()
        assert links(store).equals(expected)
        assert load(store) == 0


@pytest.mark.neo4j
def test_a_load_killed_at_any_moment_and_run_again_gives_the_same_graph(
    own_server: LocalServer, expected: pl.DataFrame
) -> None:
    user, password = own_server.credentials
    code = (
        "import os; from graph import open_store; from tests.graph.neo4j.test_restart import load\n"
        f"with open_store({own_server.address!r}, credentials=({user!r}, os.environ['PASSWORD'])) as store: load(store)"
    )
    with open_store(own_server.address, credentials=own_server.credentials) as store:
        for wanted in (1, 30_000):
            store.create_schema(GraphSchema())
            store.delete_nodes("User", [f"u{n}" for n in range(USERS)])
            process = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "PASSWORD": password})
            wait_for_links(own_server, wanted)
            process.kill()
            assert process.wait() == -signal.SIGKILL
            assert 0 < load(store) < USERS + ITEMS + len(expected)
            assert links(store).equals(expected)


@pytest.mark.neo4j
def test_patience_ends(monkeypatch: pytest.MonkeyPatch, own_server: LocalServer) -> None:
    monkeypatch.setattr(neo4j_connection, "PATIENCE", 1.0)
    with open_store(own_server.address, credentials=own_server.credentials) as store:
        store.create_schema(GraphSchema())
        own_server.stop()
        start = time.monotonic()
        with pytest.raises(StoreError, match="no Neo4j server answers"):
            store.write_nodes("User", pa.table({"id": ["late"]}))
        assert time.monotonic() - start < 60
    own_server.start()
