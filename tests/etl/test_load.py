"""From tables into a real embedded store: what was given is there, and the second time nothing is written."""

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from etl.config import NeighbourConfig
from etl.errors import EtlError, SourceError, SplitError
from etl.load import load_graph, related
from etl.media import build_media
from etl.media_links import link_media
from etl.tables import INTERACTIONS, SOCIAL, TRIPLES, Tables
from etl.validate import validate
from graph import open_store
from graph.schema import EdgeType


def _table(schema: pa.Schema, *rows: dict[str, object]) -> pa.Table:
    return pa.Table.from_pylist([{n: row.get(n) for n in schema.names} for row in rows], schema)


@pytest.fixture
def tables() -> Tables:
    vectors = pa.FixedSizeListArray.from_arrays(pa.array([1, 0, 0.9, 0.1], pa.float32()), 2)
    raw = Tables(
        _table(
            INTERACTIONS,
            {"user_id": "u", "item_id": "a", "weight": 4.0, "timestamp": 5, "split": "train"},
            {"user_id": "u", "item_id": "b", "timestamp": 6, "split": "test"},
        ),
        items=pa.table({"item_id": ["a", "b"], "title": ["A", "B"], "year": [1990, 1991]}),
        embeddings={"image": pa.table({"item_id": ["a", "b"], "vector": vectors})},
        triples=_table(
            TRIPLES,
            {"head_id": "a", "relation": "by", "tail_id": "anna", "tail_type": "Person", "tail_name": "Anna"},
            {"head_id": "anna", "relation": "from", "tail_id": "oslo"},
            {"head_id": "anna", "relation": "made", "tail_id": "b", "tail_type": "Item"},
            {"head_id": "a", "relation": "sequel", "tail_id": "b", "tail_type": "Item"},
        ),
        social=_table(SOCIAL, {"user_id": "u", "friend_id": "v"}),
    )
    return validate(raw, strict=False)


def test_loads_once_and_then_writes_nothing(tables: Tables, tmp_path: Path) -> None:
    media = link_media(build_media(tables, {}), tables, NeighbourConfig())
    seen: list[tuple[int, int]] = []
    with open_store(f"ladybug:{tmp_path / 'graph'}") as store:
        report = load_graph(store, tables, media, progress=lambda a, b: seen.append((a, b)))
        again = load_graph(store, tables, media)
        counts = store.counts()
        edge = EdgeType("User", "INTERACTED", "Item")
        rows = pa.Table.from_batches(store.read_relationships(edge, ["weight", "timestamp", "split"])).to_pylist()
        items = pa.Table.from_batches(store.read_nodes("Item", ["title", "year"])).to_pylist()
    assert report.nodes == {"User": 2, "Item": 2, "Image": 2, "Entity": 3}
    assert report.relationships == {"INTERACTED": 2, "FOLLOWS": 1, "HAS_IMAGE": 2, "SIMILAR": 2, "RELATED": 5}
    assert report.written == 9 + 12 and again.written == 0 and again.nodes == report.nodes
    assert seen[-1] == (21, 21)
    assert {k: v for k, v in counts.nodes.items() if v} == report.nodes
    assert {k: v for k, v in counts.relationships.items() if v} == report.relationships
    by_item = {row["target"]: row for row in rows}
    assert by_item["a"]["weight"] == 4.0 and by_item["a"]["timestamp"] == 5
    assert by_item["b"]["split"] == "test" and by_item["b"]["weight"] is None
    assert {row["id"]: (row["title"], row["year"]) for row in items} == {"a": ("A", 1990), "b": ("B", 1991)}


def test_a_changed_row_is_one_write(tables: Tables, tmp_path: Path) -> None:
    media = build_media(tables, {})
    assert tables.items is not None
    with open_store(f"ladybug:{tmp_path / 'graph'}") as store:
        load_graph(store, tables, media)
        items = tables.items.set_column(1, "title", pa.array(["A", "New"]))
        assert load_graph(store, replace(tables, items=items), media).written == 1


def test_triples_lead_from_items_to_entities(tables: Tables) -> None:
    entities, from_items, from_entities = related(tables)
    facts = ["source", "relation", "target"]
    assert {tuple(row.values()) for row in from_items.select(facts).to_pylist()} == {
        ("a", "by", "anna"),
        ("b", "inverse of made", "anna"),
        ("a", "sequel", "item:b"),
        ("b", "same as", "item:b"),
    }
    assert [tuple(row.values()) for row in from_entities.select(facts).to_pylist()] == [("anna", "from", "oslo")]
    assert {row["id"]: (row["name"], row["type"]) for row in entities.to_pylist()} == {
        "anna": ("Anna", "Person"),
        "oslo": ("oslo", None),
        "item:b": ("b", "Item"),
    }


def test_a_tail_that_only_looks_like_an_item_is_an_entity() -> None:
    triples = _table(TRIPLES, {"head_id": "a", "relation": "genre", "tail_id": "b"})
    tables = validate(
        Tables(
            _table(INTERACTIONS, {"user_id": "u", "item_id": "a"}),
            items=pa.table({"item_id": ["a", "b"]}),
            triples=triples,
        ),
        strict=True,
    )
    entities, from_items, _ = related(tables)
    assert entities["id"].to_pylist() == ["b"] and from_items["target"].to_pylist() == ["b"]


def test_errors_are_one_family() -> None:
    assert issubclass(SourceError, EtlError) and issubclass(SplitError, EtlError)
