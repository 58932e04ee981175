"""One store for many readers, opened again once a build has written to it."""

import threading
from pathlib import Path

import pyarrow as pa
import pytest

from graph import GraphSchema, open_store
from graph.errors import StoreMissing
from graph.store import GraphStore
from modalweave.serve.shared_store import SharedStore


def write(address: str, *ids: str) -> None:
    with open_store(address) as store:
        store.create_schema(GraphSchema())
        store.write_nodes("Item", pa.table({"id": list(ids), "title": list(ids)}))


def count(store: GraphStore) -> int:
    return store.query("MATCH (i:Item) RETURN count(*) AS n")["n"][0].as_py()


def test_what_a_build_writes_is_seen(tmp_path: Path) -> None:
    address = f"ladybug:{tmp_path / 'graph'}"
    write(address, "a")
    shared = SharedStore(lambda: open_store(address, read_only=True))
    with shared.reading() as first:
        assert count(first) == 1
        with shared.reading() as second:
            assert second is first
        write(address, "a", "b", "c")
        with shared.reading() as third:  # while the first reader is still at it
            assert count(third) == 3 and third is not first
        assert count(first) == 1
    with shared.reading() as again:
        assert again is third
    shared.close()


def test_a_store_that_comes_later_is_opened_then(tmp_path: Path) -> None:
    address = f"ladybug:{tmp_path / 'graph'}"
    shared = SharedStore(lambda: open_store(address, read_only=True))
    with pytest.raises(StoreMissing), shared.reading():
        pass
    write(address, "a")
    with shared.reading() as store:
        assert count(store) == 1
    shared.close()


def test_many_readers_at_once(tmp_path: Path) -> None:
    address = f"ladybug:{tmp_path / 'graph'}"
    write(address, "a", "b")
    shared = SharedStore(lambda: open_store(address, read_only=True))
    found: list[int] = []

    def read() -> None:
        for _ in range(20):
            with shared.reading() as store:
                found.append(count(store))

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    shared.close()
    assert found == [2] * 160
