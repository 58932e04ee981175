"""The embedded store where address space is short, and names that a query mistakes."""

import resource
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from graph import GraphSchema, StoreError, open_store
from graph.ladybug.store import LadybugStore
from tests.graph.tiny_graph import write_tiny

_OPEN = """
import sys
from graph import GraphError, GraphSchema, open_store
import pyarrow as pa
size = int(sys.argv[2]) if len(sys.argv) > 2 else None
try:
    with open_store(f"ladybug:{sys.argv[1]}", max_db_size=size) as store:
        store.create_schema(GraphSchema())
        store.write_nodes("User", pa.table({"id": [str(n) for n in range(1000)]}))
        print(store.counts().nodes["User"])
except GraphError as error:
    print(error)
"""


def limited(folder: Path, *size: int) -> str:
    """What a process with 6 GB of address space says that opens a store."""
    done = subprocess.run(
        [sys.executable, "-c", _OPEN, str(folder), *map(str, size)],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (6 * 2**30,) * 2),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.stdout.strip() or done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is Linux's")
def test_a_store_opens_where_address_space_is_limited(tmp_path: Path) -> None:
    assert limited(tmp_path / "graph") == "1000"
    assert limited(tmp_path / "graph", 2**28) == "1000"
    assert "too little address space" in limited(tmp_path / "other", 2**36)
    with open_store(f"ladybug:{tmp_path / 'graph'}", read_only=True) as store:
        assert store.counts().nodes["User"] == 1000


def test_a_graph_that_reaches_its_size_says_what_to_raise(tmp_path: Path) -> None:
    store = LadybugStore(tmp_path, max_db_size=2**24 + 5)
    store.create_schema(GraphSchema())
    texts = pa.table({"id": [str(n) for n in range(20_000)], "title": [f"{n}" * 400 for n in range(20_000)]})
    with pytest.raises(
        StoreError, match=r"max_db_size of 16777216 bytes; set max_db_size in the config higher"
    ) as caught:
        store.write_nodes("Item", texts)
    assert "\n" not in str(caught.value)


@pytest.fixture
def store(tmp_path: Path) -> LadybugStore:
    store = LadybugStore(tmp_path)
    write_tiny(store)
    return store


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("MATCH (i:Item) WHERE i.id = 'film_b' RETURN i.id, i.tilte", [{"i.id": "film_b", "i.tilte": None}]),
        ("MATCH (i:Item) WHERE i.tilte = 'x' RETURN count(i) AS n", [{"n": 0}]),
        ("MATCH (i:Item) WHERE i.id = 'film_b' RETURN 'i.tilte' AS s, i.`tilte` AS t", [{"s": "i.tilte", "t": None}]),
        ("MATCH (i:Item)-[r]->(x) RETURN DISTINCT r.tilte, x.tilte", [{"r.tilte": None, "x.tilte": None}]),
    ],
)
def test_an_unknown_property_is_null_and_told(store: LadybugStore, query: str, rows: list[dict[str, object]]) -> None:
    assert store.query(query).to_pylist() == rows
    assert store.notes == ["the graph has no property 'tilte'; did you mean 'title'?"]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("MATCH (i:Itme) RETURN i.id", "no label or relationship type 'Itme'; did you mean 'Item'"),
        ("MATCH (u)-[:INTERACTD]->(i) RETURN u.id", "'INTERACTD'; did you mean 'INTERACTED'"),
        ("MATCH (i:Item {tilte: 'x'}) RETURN i.id", "no property 'tilte'; did you mean 'title'"),
        ("MATCH (i:Item) RETURN sum(i.tilte)", "no property 'tilte'; did you mean 'title'"),
        ("MATCH (i:Qqqq) RETURN i.id", "no label or relationship type 'Qqqq'; it has Audio, Entity"),
    ],
)
def test_what_cannot_be_null_is_one_line_with_the_nearest_name(store: LadybugStore, query: str, message: str) -> None:
    with pytest.raises(StoreError, match=message) as caught:
        store.query(query)
    assert "\n" not in str(caught.value)
    assert store.notes == []
