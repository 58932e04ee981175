"""Lists written back to a server while someone reads them: old or new, but for the instant of a commit itself.

Neo4j reads what is committed without a snapshot, so a read that meets a commit under way may see a part of it.
"""

import threading
import time
from collections.abc import Iterator

import neo4j
import pyarrow as pa
import pytest

from graph.neo4j.store import Neo4jStore
from graph.schema import GraphSchema
from scoring.writeback import RECOMMENDED
from tests.devserver import Server

USERS, DEPTH, ROUNDS = 40, 20, 12
READ = (
    "MATCH (u:User {id: $user})-[r:RECOMMENDED {model: 'm'}]->(:Item) "
    "RETURN count(r) AS links, collect(DISTINCT r.created) AS versions"
)


def lists(version: int) -> pa.Table:
    """Every user's list of one version; lists of neighbouring versions share half of their items."""
    rows = [
        {"source": f"u{u}", "target": f"i{version * DEPTH // 2 + rank}", "rank": rank, "model": "m"}
        for u in range(USERS)
        for rank in range(DEPTH)
    ]
    return pa.Table.from_pylist([{**row, "created": f"v{version}"} for row in rows])


@pytest.fixture
def reader(neo4j_clean: Server) -> Iterator[neo4j.Session]:
    with (
        neo4j.GraphDatabase.driver(neo4j_clean.address, auth=neo4j_clean.credentials) as driver,
        driver.session() as session,
    ):
        yield session


@pytest.mark.neo4j
def test_a_reader_sees_whole_lists(neo4j_store: Neo4jStore, reader: neo4j.Session) -> None:
    neo4j_store.create_schema(GraphSchema())
    neo4j_store.write_nodes("User", pa.table({"id": [f"u{u}" for u in range(USERS)]}))
    items = (ROUNDS + 2) * DEPTH
    neo4j_store.write_nodes("Item", pa.table({"id": [f"i{n}" for n in range(items)]}))
    neo4j_store.write_relationships(RECOMMENDED, lists(0))

    def write() -> None:
        for version in range(1, ROUNDS + 1):
            old, new = lists(version - 1), lists(version)
            gone = set(old["target"].to_pylist()) - set(new["target"].to_pylist())
            mask = pa.array([target in gone for target in old["target"].to_pylist()])
            neo4j_store.replace_relationships(RECOMMENDED, new, old.filter(mask))

    writer = threading.Thread(target=write)
    writer.start()
    seen: set[str] = set()
    reads = torn = 0
    while writer.is_alive():
        for user in range(USERS):
            deadline = time.monotonic() + 5
            while True:
                found = reader.run(READ, {"user": f"u{user}"}).single(strict=True)
                reads += 1
                if found["links"] == DEPTH and len(found["versions"]) == 1:
                    break
                torn += 1
                assert time.monotonic() < deadline, f"half a list stayed: {found}"
            seen.update(found["versions"])
    writer.join()
    assert len(seen) > 2, "the reader saw no replacement happen"
    assert torn <= reads / 4
