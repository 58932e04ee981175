"""Neo4j: loading, reading, the cookbook and explain, each beside what it cannot do without.

    python -m benchmarks.neo4j [--data FOLDER] [--interactions 1000000] [--loads 1]

Starts real servers on this machine (as `make neo4j` does), fresh for each load. Prints one JSON object, and the parts
that take minutes to stderr as they are done:

* `online`: seconds to load a dataset folder (where given) and a synthetic graph over the driver, beside a bare loop of
  the official driver that sends the same batches, made beforehand, one after another
* `bulk`: the same graph through files and `neo4j-admin`, beside the bare command on the files, and the indexes after it
* `read`: interactions per second into `HeteroData`, vectors from the server and from a cache
* `cookbook`: milliseconds of every query, and of `explain`
"""

import argparse
import json
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, LiteralString

import neo4j
import numpy as np
import pyarrow as pa

from encoders.cache import EmbeddingCache
from encoders.precomputed import cached_vectors, keep_vectors
from etl.config import NeighbourConfig, SourceConfig, SplitConfig
from etl.load import graph_nodes, graph_relationships, graph_schema
from etl.media import build_media
from etl.media_links import link_media
from etl.sources import read_source
from etl.split import split_interactions
from etl.validate import validate
from graph.cookbook.recipes import COOKBOOK
from graph.hetero import read_hetero
from graph.neo4j import statements as neo4j_cypher
from graph.neo4j import write as neo4j_write
from graph.neo4j.bulk_import import check_local, run_import, write_files
from graph.neo4j.store import Neo4jStore
from graph.schema import EdgeType, GraphSchema
from graph.views.paths import explain_paths
from tests.devserver import LocalServer, running_server

Graph = tuple[GraphSchema, dict[str, pa.Table], dict[EdgeType, pa.Table]]
INTERACTED = EdgeType("User", "INTERACTED", "Item")
HAS_IMAGE = EdgeType("Item", "HAS_IMAGE", "Image")
DIM = 64


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="a dataset folder to load as well")
    parser.add_argument("--interactions", type=int, default=1_000_000)
    parser.add_argument("--version", default="5.26.30")
    parser.add_argument("--loads", type=int, default=1, help="loads of each side; the quickest counts")
    parser.add_argument("--rounds", type=int, default=20, help="runs of each query")
    arguments = parser.parse_args()
    graphs = {"synthetic": synthetic(arguments.interactions)}
    if arguments.data:
        graphs = {arguments.data.name: dataset(arguments.data), **graphs}
    result: dict[str, Any] = {"machine": platform.machine(), "version": arguments.version, "online": {}}
    for name, graph in graphs.items():
        result["online"][name] = online(graph, arguments.version, arguments.loads)
        print(name, result["online"][name], file=sys.stderr, flush=True)
    schema, _, _ = graph = graphs["synthetic"]
    with running_server(arguments.version) as server, tempfile.TemporaryDirectory() as folder:
        result["bulk"] = bulk(graph, server, Path(folder))
        result["bulk"]["online / bulk"] = round(
            result["online"]["synthetic"]["seconds"] / result["bulk"]["seconds with indexes"], 1
        )
        print("bulk", result["bulk"], file=sys.stderr, flush=True)
        with opened(server) as store:
            store.create_schema(schema)
            result["read"] = read(store, graph, Path(folder))
            result |= explore(store, arguments.rounds)
    print(json.dumps(result, indent=2))


def synthetic(interactions: int) -> Graph:
    """50,000 users, 10,000 items, each with a picture of 64 numbers; popular items are met more often."""
    rng = np.random.default_rng(0)
    users, items = 50_000, 10_000
    pairs = np.unique(
        rng.integers(0, users, 2 * interactions) * items + (items * rng.random(2 * interactions) ** 2).astype(np.int64)
    )
    pairs = np.sort(rng.permutation(pairs)[:interactions])
    vectors = rng.normal(size=(items, DIM)).astype(np.float32)
    item_ids, picture_ids = [f"i{n}" for n in range(items)], [sha256(str(n).encode()).hexdigest() for n in range(items)]
    nodes = {
        "User": pa.table({"id": [f"u{n}" for n in range(users)]}),
        "Item": pa.table({"id": item_ids, "title": [f"Item {n}" for n in range(items)]}),
        "Image": pa.table({"id": picture_ids, "encoder": ["e"] * items, "embedding": list(vectors)}),
    }
    edges = {
        INTERACTED: pa.table(
            {
                "source": [f"u{n}" for n in pairs // items],
                "target": [f"i{n}" for n in pairs % items],
                "weight": np.ones(len(pairs)),
                "timestamp": rng.integers(1_600_000_000, 1_700_000_000, len(pairs)),
                "split": rng.choice(["train", "valid", "test"], len(pairs), p=[0.8, 0.1, 0.1]),
            }
        ),
        HAS_IMAGE: pa.table({"source": item_ids, "target": picture_ids, "role": ["main"] * items}),
    }
    return GraphSchema().with_dimensions({"Image": DIM}), nodes, edges


def dataset(folder: Path) -> Graph:
    """What `modalweave build` would load of a folder with given vectors."""
    tables = validate(read_source(SourceConfig(path=folder)), strict=False)
    split = split_interactions(tables.interactions, SplitConfig(), seed=0)
    tables = replace(tables, interactions=split)
    media = link_media(build_media(tables, {}), tables, NeighbourConfig())
    nodes = dict(graph_nodes(tables, media))
    return graph_schema(nodes, media), nodes, dict(graph_relationships(tables, media))


def online(graph: Graph, version: str, loads: int) -> dict[str, float]:
    """Our load and the bare loop, in turns, on a fresh server each; the quickest of each counts."""
    schema, nodes, edges = graph
    rows = sum(map(len, nodes.values())) + sum(map(len, edges.values()))
    ours, again, bare = [], [], []
    for _ in range(loads):
        with running_server(version) as server, opened(server) as store:
            store.create_schema(schema)
            ours.append(seconds(partial(_write, store, nodes, edges)))
            again.append(seconds(partial(_write, store, nodes, edges)))
        with running_server(version) as server, opened(server) as store:
            store.create_schema(schema)
            batches = list(_bare_batches(schema, nodes, edges))
            bare.append(seconds(partial(_bare, server, batches)))
    return {
        "rows": rows,
        "seconds": round(min(ours), 2),
        "bare seconds": round(min(bare), 2),
        "share of the bare loop's speed": round(min(bare) / min(ours), 2),
        "rows/s": round(rows / min(ours)),
        "seconds of a second load": round(min(again), 2),
    }


def bulk(graph: Graph, server: LocalServer, folder: Path) -> dict[str, float]:
    """Files, import and indexes; leaves the server running on the graph."""
    schema, nodes, edges = graph
    server.stop()
    admin = check_local(server.home, server.address)
    start = time.perf_counter()
    files = write_files(folder / "import", schema, nodes.items(), edges.items())
    written = time.perf_counter() - start
    run_import(files, admin, "neo4j", overwrite=True)
    ours = time.perf_counter() - start
    bare = seconds(lambda: run_import(files, admin, "neo4j", overwrite=True))
    server.start()
    with opened(server) as store:
        indexes = seconds(lambda: store.create_schema(schema))
    return {
        "seconds": round(ours, 2),
        "of which files": round(written, 2),
        "bare seconds": round(bare, 2),
        "times the bare command": round(ours / bare, 2),
        "seconds with indexes": round(ours + indexes, 2),
    }


def read(store: Neo4jStore, graph: Graph, folder: Path) -> dict[str, float]:
    """The store as tensors: the first time after the server's start, when nothing is compiled and cached, and later."""
    _, nodes, edges = graph
    cache = EmbeddingCache(folder / "cache")
    images = nodes["Image"]
    keep_vectors(cache, "e", images["id"].to_pylist(), np.stack(images["embedding"].to_numpy()))
    count = sum(map(len, edges.values()))
    first, stored = (seconds(lambda: read_hetero(store)) for _ in range(2))
    cached = seconds(lambda: read_hetero(store, vectors=lambda _, encoder, ids: cached_vectors(cache, encoder, ids)))
    alone = seconds(lambda: list(store.read_relationships(INTERACTED, ["weight", "timestamp", "split"])))
    return {
        "edges/s to HeteroData, the server just started": round(count / first),
        "edges/s to HeteroData, vectors from the server": round(count / stored),
        "edges/s to HeteroData, vectors from the cache": round(count / cached),
        "interactions/s with three properties": round(len(edges[INTERACTED]) / alone),
    }


def explore(store: Neo4jStore, rounds: int) -> dict[str, Any]:
    """Milliseconds of each query at different users and items; the first, which plans it, counts as well."""
    rng = np.random.default_rng(1)

    def given(parameters: Any) -> dict[str, str]:
        known = {"item": "i{}", "other": "i{}", "user": "u{}", "entity": "e{}", "word": "Item {}", "title": "Item {}"}
        return {p: known.get(p, "i{}").format(rng.integers(0, 10_000)) for p, v in parameters.items() if v is None}

    spent = {
        name: [
            seconds(partial(store.query, recipe.cypher, recipe.arguments(given(recipe.parameters)), timeout=120.0))
            for _ in range(rounds)
        ]
        for name, recipe in COOKBOOK.items()
    }
    users = [(f"u{u}", f"i{i}") for u, i in rng.integers(0, 10_000, (rounds, 2))]
    explained = [seconds(partial(explain_paths, store, u, i)) for u, i in users]
    return {
        "cookbook": {
            "every query": _milliseconds([second for times in spent.values() for second in times]),
            **{name: _milliseconds(times) for name, times in spent.items()},
        },
        "explain": _milliseconds(explained),
    }


def _milliseconds(spent: list[float]) -> dict[str, float]:
    """The median and the 95th percentile of seconds."""
    return {
        "median": round(1000 * statistics.median(spent), 1),
        "p95": round(1000 * float(np.quantile(spent, 0.95)), 1),
    }


def seconds(call: Callable[[], object]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


@contextmanager
def opened(server: LocalServer) -> Iterator[Neo4jStore]:
    """A store at the server."""
    with Neo4jStore(server.address, credentials=server.credentials) as store:
        yield store


def _write(store: Neo4jStore, nodes: dict[str, pa.Table], edges: dict[EdgeType, pa.Table]) -> None:
    for label, table in nodes.items():
        store.write_nodes(label, table)
    for edge, table in edges.items():
        store.write_relationships(edge, table)


def _bare_batches(
    schema: GraphSchema, nodes: dict[str, pa.Table], edges: dict[EdgeType, pa.Table]
) -> Iterator[tuple[LiteralString, list[dict[str, Any]]]]:
    for label, table in nodes.items():
        statement = neo4j_cypher.write_nodes(schema.nodes[label], vectors="embedding" in table.column_names)
        for batch in neo4j_write.batches(table):
            yield statement, batch.to_pylist()
    for edge, table in edges.items():
        statement = neo4j_cypher.write_relationships(schema.relationships[edge])
        for batch in neo4j_write.batches(table):
            rows = batch.to_pylist()
            ends = [(row.pop("source"), row.pop("target")) for row in rows]
            yield (
                statement,
                [{"source": a, "target": b, "properties": row} for (a, b), row in zip(ends, rows, strict=True)],
            )


def _bare(server: LocalServer, batches: list[tuple[LiteralString, list[dict[str, Any]]]]) -> None:
    with neo4j.GraphDatabase.driver(server.address, auth=server.credentials) as driver, driver.session() as session:
        for statement, rows in batches:
            session.execute_write(partial(_run, statement=statement, rows=rows))


def _run(transaction: neo4j.ManagedTransaction, statement: LiteralString, rows: list[dict[str, Any]]) -> None:
    transaction.run(statement, {"rows": rows}).consume()


if __name__ == "__main__":
    main()
