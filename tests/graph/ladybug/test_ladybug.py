"""The embedded store: the shared suite, and what only a file can do (locks, damage, kills, a full disk)."""

import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from graph import GraphSchema, GraphStore, QueryRefused, SchemaError, StoreError, open_store
from graph.hetero import graph_hash, read_hetero
from graph.ladybug.store import FILE_NAME, LadybugStore
from tests.graph.store_cases import TINY_HASH, StoreCases
from tests.graph.tiny_graph import INTERACTED, NODE_COUNTS, SCHEMA, write_tiny

ROOT = Path(__file__).parents[3]


class TestLadybugStore(StoreCases):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[GraphStore]:
        store = open_store(f"ladybug:{tmp_path / 'graph'}")
        yield store
        store.close()


def run(code: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(code), *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


BUILD = """
    import sys, pyarrow as pa
    from graph import open_store
    from tests.graph.tiny_graph import INTERACTED, SCHEMA
    store = open_store(f"ladybug:{sys.argv[1]}")
    store.create_schema(SCHEMA)
    ids = pa.array([f"n{i}" for i in range(5_000)])
    print("start", flush=True)
    store.write_nodes("User", pa.table({"id": ids}))
    store.write_nodes("Item", pa.table({"id": ids, "title": ids}))
    pairs = pa.array([f"n{(i * 7919) % 5_000}" for i in range(50_000)])
    targets = pa.array([f"n{(i * 104_729 + i // 5_000) % 5_000}" for i in range(50_000)])
    split = pa.array(["train"] * 50_000)
    store.write_relationships(INTERACTED, pa.table({"source": pairs, "target": targets, "split": split}))
    store.close()
    print("done", flush=True)
"""


def test_a_build_killed_at_any_moment_and_run_again_gives_the_same_graph(tmp_path: Path) -> None:
    whole = run(BUILD, str(tmp_path / "whole"))
    assert whole.stdout is not None
    assert whole.stdout.readline() == "start\n"
    begin = time.monotonic()
    assert whole.stdout.readline() == "done\n", whole.stderr and whole.stderr.read()
    seconds = time.monotonic() - begin
    whole.wait()
    with open_store(f"ladybug:{tmp_path / 'whole'}", read_only=True) as store:
        wanted = store.counts(), graph_hash(read_hetero(store))
    killed = 0
    for share in (0.2, 0.6, 0.9):
        process = run(BUILD, str(tmp_path / "killed"))
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(seconds * share)
        process.send_signal(signal.SIGKILL)
        killed += process.wait() == -signal.SIGKILL
    assert killed
    again = run(BUILD, str(tmp_path / "killed"))
    _, errors = again.communicate()
    assert again.returncode == 0, errors
    with open_store(f"ladybug:{tmp_path / 'killed'}", read_only=True) as store:
        assert (store.counts(), graph_hash(read_hetero(store))) == wanted


def test_a_second_writer_is_refused_in_this_process_and_in_another(tmp_path: Path) -> None:
    address = f"ladybug:{tmp_path / 'g'}"
    with open_store(address) as store:
        store.create_schema(SCHEMA)
        with pytest.raises(StoreError, match="already open"):
            open_store(address)
        other = run(
            """
            import sys
            from graph import StoreError, open_store
            try:
                open_store(sys.argv[1])
            except StoreError as error:
                print(error)
            """,
            address,
        )
        output, _ = other.communicate()
        assert "is being written by" in output
        assert output.count("\n") == 1
    open_store(address).close()


def test_a_damaged_file_is_named_and_left_as_it_is(tmp_path: Path) -> None:
    address = f"ladybug:{tmp_path / 'g'}"
    with open_store(address) as store:
        write_tiny(store)
    file = tmp_path / "g" / FILE_NAME
    whole = file.read_bytes()
    for damage in (b"\0" * 8 + whole[8:], whole[: len(whole) // 3], b"not a database" * 500):
        file.write_bytes(damage)
        with pytest.raises(StoreError, match="damaged or no graph store") as caught:
            open_store(address)
        assert "\n" not in str(caught.value)
        assert address in str(caught.value)
        assert file.read_bytes() == damage
    file.write_bytes(whole)
    with open_store(address, read_only=True) as store:
        assert graph_hash(read_hetero(store)) == TINY_HASH


def test_a_full_disk_is_named_and_leaves_the_graph_as_it_was(tmp_path: Path) -> None:
    address = f"ladybug:{tmp_path / 'g'}"
    with open_store(address) as store:
        write_tiny(store)
    # A limit on the size of files fails a write just where a full disk does.
    full = run(
        """
        import resource, signal, sys, pyarrow as pa
        from graph import StoreError, open_store
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        store = open_store(sys.argv[1])
        resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))
        try:
            store.write_nodes("Item", pa.table({"id": [f"item{i}" for i in range(300_000)]}))
        except StoreError as error:
            print(error)
        """,
        address,
    )
    output, errors = full.communicate()
    assert "disk is full" in output, errors
    assert output.count("\n") == 1
    with open_store(address) as store:
        assert store.counts().nodes == NODE_COUNTS
        assert write_tiny(store) == 0


def test_reading_only(tmp_path: Path) -> None:
    address = f"ladybug:{tmp_path / 'g'}"
    with pytest.raises(StoreError, match="does not exist"):
        open_store(address, read_only=True)
    assert not (tmp_path / "g").exists()
    with open_store(address) as store:
        write_tiny(store)
    with open_store(address, read_only=True) as store:
        assert store.counts().nodes == NODE_COUNTS
        assert store.query("MATCH (u:User) RETURN count(u) AS n")["n"].to_pylist() == [3]
        with pytest.raises(StoreError, match="reading only"):
            store.write_nodes("User", pa.table({"id": ["dan"]}))


@pytest.mark.parametrize(
    "cypher",
    [
        "COPY (MATCH (n:Item) RETURN n.id) TO 'out.csv'",
        "LOAD FROM 'secret.csv' (header=false) RETURN *",
        "MATCH (n:Item) LOAD FROM 'secret.csv' RETURN *",
        "EXPORT DATABASE 'out'",
        "ATTACH 'other.db' AS other (dbtype lbug)",
        "INSTALL httpfs",
        "CALL threads=1",
        "MATCH (n:Item) RETURN 1.LOAD FROM 'secret.csv'",
    ],
)
def test_a_query_reaches_nothing_outside_the_graph(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cypher: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret.csv").write_text("secret\n")
    with open_store("ladybug:g") as store:
        store.create_schema(SCHEMA)
        with pytest.raises(QueryRefused):
            store.query(cypher)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["g", "secret.csv"]


def test_a_column_without_a_value_takes_any_type(tmp_path: Path) -> None:
    with open_store(f"ladybug:{tmp_path / 'g'}") as store:
        for name, values, kind in (("price", [None], pa.string()), ("Price", [2.5], pa.float64())):
            table = pa.table({"id": ["1"], name: pa.array(values, kind)})
            store.create_schema(GraphSchema().with_attributes("Item", table.schema))
            store.write_nodes("Item", table)
        assert store.attributes("Item") == pa.schema([("Price", pa.float64())])
        assert next(iter(store.read_nodes("Item", ["Price"]))).to_pylist() == [{"id": "1", "Price": 2.5}]


def test_a_widening_that_was_killed_goes_on(tmp_path: Path) -> None:
    wide = GraphSchema().with_attributes("Item", pa.schema([("price", pa.float64())]))
    statements = list(_priced(tmp_path / "whole")._catalog.missing(wide))
    assert len(statements) == 4
    for done in range(5):
        with _priced(tmp_path / str(done)) as store:
            for statement in statements[:done]:
                store._run(statement)
            store._catalog.refresh()
            store.create_schema(wide)
            assert next(iter(store.read_nodes("Item", ["price"]))).to_pylist() == [{"id": "1", "price": 3.0}]
            assert store.attributes("Item").names == ["price"]


def _priced(folder: Path) -> LadybugStore:
    store = LadybugStore(folder)
    table = pa.table({"id": ["1"], "price": [3]})
    store.create_schema(GraphSchema().with_attributes("Item", table.schema))
    store.write_nodes("Item", table)
    return store


def test_an_attribute_that_changed_its_type_is_refused(tmp_path: Path) -> None:
    with open_store(f"ladybug:{tmp_path / 'g'}") as store:
        write_tiny(store)
        changed = GraphSchema().with_attributes("Item", pa.schema([("year", pa.string())]))
        with pytest.raises(SchemaError, match=r"Item\.year is int64 in the store, string in the schema"):
            store.create_schema(changed)


def test_writing_before_there_is_a_schema_says_what_to_do(tmp_path: Path) -> None:
    with open_store(f"ladybug:{tmp_path / 'g'}") as store:
        assert store.counts().nodes == dict.fromkeys(NODE_COUNTS, 0)
        with pytest.raises(SchemaError, match="create_schema"):
            store.write_nodes("User", pa.table({"id": ["ann"]}))
        with pytest.raises(SchemaError, match="create_schema"):
            store.write_relationships(INTERACTED, pa.table({"source": ["a"], "target": ["b"]}))


@pytest.mark.parametrize("address", ["sqlite:x", "ladybug:", "", "http://localhost:7687", "bolt:/x"])
def test_an_unknown_address_names_the_known_ones(address: str) -> None:
    with pytest.raises(StoreError, match=r"use ladybug:PATH, or bolt://") as caught:
        open_store(address)
    assert repr(address) in str(caught.value)
