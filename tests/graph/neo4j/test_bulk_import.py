"""The bulk import on a real server: the graph it makes is the one that the driver writes, whole."""

import json
from collections.abc import Iterator
from pathlib import Path

import neo4j
import numpy as np
import pyarrow as pa
import pytest

from graph import GraphSchema, SchemaError, StoreError, open_store
from graph.neo4j.bulk_import import LOG, check_local, run_import, write_files
from graph.neo4j.store import Neo4jStore
from graph.store import GraphStore
from tests.devserver import LocalServer, startable_versions
from tests.graph.tiny_graph import EDGE_COUNTS, EDGES, NODE_COUNTS, NODES, SCHEMA, write_tiny
from tests.neo4j_server import server_from

ODD = ["a'b", 'a"b', "a\\b", "a\nb", "a\r\nb;c", " x ", "電影", "", "`", "a,b", "1", "null"]
"""Texts that a CSV file could spoil."""


@pytest.fixture(scope="module", params=list(startable_versions()) or ["none"])
def own_server(request: pytest.FixtureRequest) -> Iterator[LocalServer]:
    """A server of this module's own: the tests stop it."""
    with server_from(request.param) as server:
        assert isinstance(server, LocalServer)
        yield server


def write_odd(store: GraphStore) -> None:
    for label, table in odd_nodes().items():
        store.write_nodes(label, table)


def odd_nodes() -> dict[str, pa.Table]:
    vectors = np.random.default_rng(0).normal(size=(40, 2)).astype(np.float32) * np.float32(1e-7)
    vectors[0] = [np.finfo(np.float32).max, 1e-42]
    return {
        "Entity": pa.table({"id": [f"o{n}" for n in range(len(ODD))], "name": ODD}),
        "Audio": pa.table(
            {"id": [f"s{n}" for n in range(40)], "embedding": list(vectors), "duration": list(1 / np.arange(1, 41))}
        ),
    }


def whole(server: LocalServer) -> tuple[list[str], list[str]]:
    """Every node with its labels and properties, every relationship with its ends, sorted."""
    nodes = "MATCH (n) RETURN labels(n) AS l, properties(n) AS p, [k IN keys(n) | k + valueType(n[k])] AS t"
    edges = "MATCH (a)-[r]->(b) RETURN a.id AS a, labels(a) AS la, type(r) AS t, properties(r) AS p, b.id AS b"
    with neo4j.GraphDatabase.driver(server.address, auth=server.credentials) as driver:
        found = [driver.execute_query(cypher).records for cypher in (nodes, edges)]
    rows = [[{**r.data(), "t": sorted(r["t"]) if isinstance(r["t"], list) else r["t"]} for r in part] for part in found]
    first, second = (sorted(json.dumps(row, sort_keys=True, ensure_ascii=False) for row in part) for part in rows)
    return first, second


@pytest.mark.neo4j
class TestBulk:
    def test_bulk_and_driver_leave_the_same_graph(self, own_server: LocalServer, tmp_path: Path) -> None:
        with open_store(own_server.address, credentials=own_server.credentials) as store:
            write_tiny(store)
            write_odd(store)
        online = whole(own_server)
        with pytest.raises(StoreError, match=r"a server runs at .* stop it first"):
            check_local(own_server.home, own_server.address)
        own_server.stop()
        admin = check_local(own_server.home, own_server.address)
        nodes = {
            **NODES,
            **{
                k: pa.concat_tables([NODES[k], t], promote_options="default") if k in NODES else t
                for k, t in odd_nodes().items()
            },
        }
        files = write_files(tmp_path, SCHEMA, nodes.items(), EDGES.items())
        assert files.multiline
        with pytest.raises(StoreError, match="database 'neo4j' exists already; --overwrite"):
            run_import(files, admin, "neo4j", overwrite=False)
        run_import(files, admin, "neo4j", overwrite=True)
        own_server.start()
        assert whole(own_server) == online
        with Neo4jStore(own_server.address, credentials=own_server.credentials) as store:
            assert write_tiny(store) == 0
            write_odd(store)
            assert whole(own_server) == online

    def test_a_failed_import_says_why(self, own_server: LocalServer, tmp_path: Path) -> None:
        own_server.stop()
        broken = {**EDGES, **dict.fromkeys([next(iter(EDGES))], next(iter(EDGES.values())).slice(0, 1))}
        files = write_files(tmp_path, SCHEMA, list(NODES.items())[1:], broken.items())
        with pytest.raises(StoreError, match=f"could not import .*{LOG} has all") as caught:
            run_import(files, check_local(own_server.home, own_server.address), "neo4j", overwrite=True)
        assert "\n" not in str(caught.value)


def test_a_folder_that_is_no_server_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"holds no bin/neo4j-admin"):
        check_local(tmp_path, "bolt://127.0.0.1:9")


def test_the_command_for_another_machine_names_every_file(tmp_path: Path) -> None:
    files = write_files(tmp_path, SCHEMA, NODES.items(), EDGES.items())
    shown = files.shown("films")
    assert shown.startswith("neo4j-admin database import full films --overwrite-destination")
    named = {part.split("=./")[-1] for part in shown.split() if part.startswith(("--nodes", "--relationships"))}
    assert named == {path.name for path in tmp_path.glob("*.csv")}
    assert files.nodes == {k: n for k, n in NODE_COUNTS.items() if n} and not files.multiline
    assert files.relationships == {k: n for k, n in EDGE_COUNTS.items() if n}


def test_a_name_that_the_header_would_misread_is_refused_and_others_go(tmp_path: Path) -> None:
    for name in ("价格", "a b", "a`b"):
        table = pa.table({"id": ["1"], name: [2.5]})
        schema = GraphSchema().with_attributes("Item", table.schema)
        write_files(tmp_path, schema, [("Item", table)], [])
        assert f"{name}:double" in (tmp_path / "Item.csv").read_text(encoding="utf-8")
    table = pa.table({"id": ["1"], "size:cm": ["2"]})
    with pytest.raises(SchemaError, match=r"Item\.size:cm: neo4j-admin takes no .* in a name; build without --bulk"):
        write_files(tmp_path, GraphSchema().with_attributes("Item", table.schema), [("Item", table)], [])
