"""Vectors in each kind of store: they come back, a user's vector finds what the model finds, and later ones replace
them."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from gnn.bundle.bundle import Bundle
from gnn.bundle.vectors import ModelVectors
from scoring.errors import ScoringError
from scoring.sinks import SINKS, Access, parse_sink
from tests.scoring.sinks.conftest import ITEMS, USERS, best

Found = dict[str, tuple[str | None, list[float]]]


@dataclass
class Reader:
    """What a store holds, read by its own means: id -> title and vector, and a search by a user's vector."""

    items: Callable[[Path], Found]
    users: Callable[[Path], Found]
    search: Callable[[Path, Sequence[float], int], list[str]] | None = None


def _parquet(name: str, key: str) -> Callable[[Path], Found]:
    def read(folder: Path) -> Found:
        rows = pq.read_table(folder / f"{name}.parquet").to_pylist()
        return {row[key]: (row.get("title"), row["vector"]) for row in rows}

    return read


def _lance(name: str, key: str) -> Callable[[Path], Found]:
    def read(folder: Path) -> Found:
        import lancedb

        rows = lancedb.connect(str(folder)).open_table(name).to_arrow().to_pylist()
        return {row[key]: (row.get("title"), row["vector"]) for row in rows}

    return read


def _lance_search(folder: Path, vector: Sequence[float], k: int) -> list[str]:
    import lancedb

    table = lancedb.connect(str(folder)).open_table("items")
    return [row["item_id"] for row in table.search(list(vector)).distance_type("dot").limit(k).to_list()]


def _qdrant(name: str, key: str) -> Callable[[Path], Found]:
    def read(folder: Path) -> Found:
        from qdrant_client import QdrantClient

        client = QdrantClient(path=str(folder))
        points, _ = client.scroll(f"modalweave_{name}", limit=1000, with_vectors=True)
        client.close()
        return {p.payload[key]: (p.payload.get("title"), p.vector) for p in points}

    return read


def _qdrant_search(folder: Path, vector: Sequence[float], k: int) -> list[str]:
    from qdrant_client import QdrantClient

    client = QdrantClient(path=str(folder))
    found = client.query_points("modalweave_items", query=list(vector), limit=k).points
    client.close()
    return [point.payload["item_id"] for point in found]


def _copied(table: str) -> Callable[[Path], Found]:
    """The rows of a COPY, as PostgreSQL's text format is documented."""

    def read(folder: Path) -> Found:
        lines = (folder / "vectors.sql").read_bytes().decode().split("\n")
        start = next(n for n, line in enumerate(lines) if line.startswith(f"COPY {table} "))
        found: Found = {}
        for line in lines[start + 1 : lines.index("\\.", start)]:
            first, *title, vector = map(_unescaped, line.split("\t"))
            found[str(first)] = (title[0] if title else None, json.loads(str(vector)))
        return found

    return read


def _unescaped(text: str) -> str | None:
    if text == "\\N":
        return None
    letters = {"t": "\t", "n": "\n", "r": "\r", "\\": "\\"}
    parts = text.split("\\\\")
    return "\\".join(p if "\\" not in p else _letters(p, letters) for p in parts)


def _letters(part: str, letters: dict[str, str]) -> str:
    first, *rest = part.split("\\")
    return first + "".join(letters[piece[0]] + piece[1:] for piece in rest)


READERS = {
    "parquet": Reader(_parquet("items", "item_id"), _parquet("users", "user_id")),
    "lancedb": Reader(_lance("items", "item_id"), _lance("users", "user_id"), _lance_search),
    "qdrant": Reader(_qdrant("items", "item_id"), _qdrant("users", "user_id"), _qdrant_search),
    "pgvector": Reader(_copied("modalweave_items"), _copied("modalweave_users")),
}
BOLT = {"bolt", "bolt+s", "bolt+ssc", "neo4j", "neo4j+s", "neo4j+ssc"}


@pytest.fixture(params=READERS)
def sink(request: pytest.FixtureRequest) -> str:
    if request.param in ("lancedb", "qdrant"):
        pytest.importorskip({"lancedb": "lancedb", "qdrant": "qdrant_client"}[request.param])
    return str(request.param)


def test_every_sink_is_under_test() -> None:
    assert set(SINKS) == set(READERS) | BOLT, "those of a Bolt address in test_neo4j.py"


def test_what_is_written_comes_back(sink: str, vectors: ModelVectors, tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    folder = tmp_path / "out"
    written = SINKS[sink](vectors, str(folder), Access(), lambda *step: steps.append(step))
    assert written == USERS + ITEMS
    assert steps and steps[-1][0] == steps[-1][1]
    for found, ids, matrix, titles in (
        (READERS[sink].users(folder), vectors.user_ids, vectors.users, None),
        (READERS[sink].items(folder), vectors.item_ids, vectors.items, vectors.titles),
    ):
        assert list(found) == list(ids)
        assert np.array([vector for _, vector in found.values()], np.float32) == pytest.approx(matrix, abs=1e-6)
        if titles is not None:
            assert [title for title, _ in found.values()] == list(titles)


@pytest.mark.parametrize("sink", [name for name, reader in READERS.items() if reader.search], indirect=True)
def test_a_users_vector_finds_the_best_items(sink: str, vectors: ModelVectors, tmp_path: Path) -> None:
    search = READERS[sink].search
    assert search is not None
    SINKS[sink](vectors, str(tmp_path / "out"), Access(), None)
    for user in range(0, USERS, 7):
        assert search(tmp_path / "out", vectors.users[user].tolist(), 5) == best(vectors, user, 5)


def test_a_later_model_replaces_the_earlier_one(
    sink: str, vectors: ModelVectors, other_vectors: ModelVectors, tmp_path: Path
) -> None:
    for one in (vectors, other_vectors):
        SINKS[sink](one, str(tmp_path / "out"), Access(), None)
    found = READERS[sink].items(tmp_path / "out")
    assert list(found) == list(other_vectors.item_ids)
    assert {len(vector) for _, vector in found.values()} == {other_vectors.dimensions}


def test_titles_are_left_out_where_there_are_none(sink: str, vectors: ModelVectors, tmp_path: Path) -> None:
    SINKS[sink](replace(vectors, titles=None), str(tmp_path / "out"), Access(), None)
    assert {title for title, _ in READERS[sink].items(tmp_path / "out").values()} == {None}


@pytest.mark.parametrize("name", ["parquet", "pgvector"])
def test_a_folder_of_others_is_left_alone(name: str, vectors: ModelVectors, tmp_path: Path) -> None:
    (tmp_path / "users.parquet").write_text("mine")
    with pytest.raises(ScoringError, match=r"holds 'users\.parquet' and is no export"):
        SINKS[name](vectors, str(tmp_path), Access(), None)
    with pytest.raises(ScoringError, match="is a file"):
        SINKS[name](vectors, str(tmp_path / "users.parquet"), Access(), None)
    assert (tmp_path / "users.parquet").read_text() == "mine"


@pytest.mark.parametrize("name", ["lancedb", "qdrant"])
def test_a_place_that_cannot_be_written_is_one_line(name: str, vectors: ModelVectors, tmp_path: Path) -> None:
    pytest.importorskip({"lancedb": "lancedb", "qdrant": "qdrant_client"}[name])
    (tmp_path / "file").write_text("")
    with pytest.raises(ScoringError) as caught:
        SINKS[name](vectors, str(tmp_path / "file"), Access(), None)
    assert str(caught.value).startswith(f"{name}:{tmp_path / 'file'}: ")
    assert "\n" not in str(caught.value)


def test_a_server_that_is_not_there_is_one_line(vectors: ModelVectors) -> None:
    pytest.importorskip("qdrant_client")
    with pytest.raises(ScoringError, match="is it running"):
        SINKS["qdrant"](vectors, "http://127.0.0.1:9", Access(), None)


def test_what_postgres_cannot_hold_is_told(vectors: ModelVectors, tmp_path: Path) -> None:
    zero = replace(vectors, user_ids=["a\0b", *vectors.user_ids[1:]])
    with pytest.raises(ScoringError, match="zero character"):
        SINKS["pgvector"](zero, str(tmp_path / "out"), Access(), None)
    long = replace(vectors, items=np.zeros((ITEMS, 2001), np.float32))
    with pytest.raises(ScoringError, match="lower --dimensions"):
        SINKS["pgvector"](long, str(tmp_path / "out"), Access(), None)


def test_a_missing_extra_says_how_to_get_it(
    vectors: ModelVectors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "lancedb", None)
    monkeypatch.setitem(sys.modules, "qdrant_client", None)
    for name in ("lancedb", "qdrant"):
        with pytest.raises(ScoringError, match=rf"pip install 'modalweave\[{name}\]'"):
            SINKS[name](vectors, str(tmp_path / "out"), Access(), None)


@pytest.mark.parametrize(
    ("address", "folder", "found"),
    [
        ("parquet:out", None, ("parquet", "out")),
        ("parquet", "out", ("parquet", "out")),
        ("qdrant:http://h:6333", None, ("qdrant", "http://h:6333")),
        ("bolt://h:7687#shop", None, ("bolt", "bolt://h:7687#shop")),
        ("neo4j+s://h", "out", ("neo4j+s", "neo4j+s://h")),
    ],
)
def test_places_are_named_as_stores_are(address: str, folder: str | None, found: tuple[str, str]) -> None:
    assert parse_sink(address, folder) == found


def test_a_name_that_is_none_is_told() -> None:
    with pytest.raises(ScoringError, match="sink 'lancdb' is unknown; did you mean 'lancedb'"):
        parse_sink("lancdb:x", None)
    with pytest.raises(ScoringError, match="sink 'parquet' needs a place"):
        parse_sink("parquet", None)


def test_vectors_rank_as_the_model_and_strangers_get_what_is_popular(
    sink_bundle: Bundle, vectors: ModelVectors
) -> None:
    assert vectors.dimensions <= 12
    assert vectors.agreement["top20_overlap"] > 0.9
    popular = np.asarray(sink_bundle.history.sum(axis=0)).ravel()
    found = vectors.items @ vectors.users[0]
    assert np.corrcoef(found, popular)[0, 1] > 0.6, "the nearest that nine dimensions have"
    assert np.array_equal(vectors.users[0], vectors.users[5])
