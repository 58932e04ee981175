"""A changed delivery gives the graph that a fresh build of it gives, on both stores."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from etl.config import NeighbourConfig
from etl.load import load_graph
from etl.media import GIVEN, MediaGraph, MediaVectors, build_media
from etl.media_links import link_media
from etl.tables import INTERACTIONS, NEIGHBOURS, TRIPLES, Tables
from etl.validate import validate
from graph import GraphStore, open_store
from graph.neo4j.store import Neo4jStore
from graph.schema import GraphSchema

ITEMS = "abcd"
VECTORS = {"a": [1.0, 0.0], "b": [0.9, 0.1], "c": [0.0, 1.0], "d": [0.1, 0.9]}
Graph = dict[str, Any]
Delivery = tuple[Tables, MediaGraph]


def _table(schema: pa.Schema, rows: list[dict[str, object]]) -> pa.Table:
    return pa.Table.from_pylist([{n: row.get(n) for n in schema.names} for row in rows], schema)


def _vectors(vectors: dict[str, list[float]]) -> pa.Table:
    width = len(next(iter(vectors.values())))
    return pa.table({"item_id": list(vectors), "vector": pa.array(vectors.values(), pa.list_(pa.float32(), width))})


def delivery(*, k: int = 1, encoder: str = GIVEN, **changes: Any) -> Delivery:
    """Four items with a title, a price and a picture; a maker for two of them; `changes` replace tables."""
    tables = Tables(
        _table(INTERACTIONS, [{"user_id": "u", "item_id": i, "split": "train", "weight": 1.0} for i in ITEMS]),
        users=pa.table({"user_id": ["u"], "city": ["Oslo"]}),
        items=pa.table({"item_id": list(ITEMS), "title": [i.upper() for i in ITEMS], "price": [1, 2, 3, 4]}),
        embeddings={"image": _vectors(VECTORS)},
        triples=_table(TRIPLES, [{"head_id": i, "relation": "by", "tail_id": "anna"} for i in "ab"]),
    )
    tables = validate(replace(tables, **changes), strict=True)
    media = build_media(tables, {})
    if encoder != GIVEN:
        media.vectors = {m: MediaVectors(encoder, v.ids, v.vectors) for m, v in media.vectors.items()}
        media.nodes = {m: _stamped(table, encoder) for m, table in media.nodes.items()}
    return tables, link_media(media, tables, NeighbourConfig(k=k))


def _stamped(nodes: pa.Table, encoder: str) -> pa.Table:
    return nodes.set_column(nodes.column_names.index("encoder"), "encoder", pa.array([encoder] * len(nodes)))


PLAIN = delivery()
CHANGES: dict[str, Delivery] = {
    "a picture is another one": delivery(embeddings={"image": _vectors({**VECTORS, "b": [0.5, 0.5]})}),
    "an item has no picture any more": delivery(embeddings={"image": _vectors({i: VECTORS[i] for i in "abc"})}),
    "two items share a picture now": delivery(embeddings={"image": _vectors({**VECTORS, "b": VECTORS["a"]})}),
    "no pictures at all": delivery(embeddings={}),
    "vectors of another length": delivery(embeddings={"image": _vectors({i: [*v, 1.0] for i, v in VECTORS.items()})}),
    "another encoder": delivery(encoder="other:1"),
    "more neighbours": delivery(k=2),
    "neighbours as given": delivery(
        neighbours={"image": _table(NEIGHBOURS, [{"item_id": "a", "neighbour_id": "d", "score": 0.5}])}
    ),
    "another maker": delivery(
        triples=_table(TRIPLES, [{"head_id": "a", "relation": "by", "tail_id": i} for i in ("anna", "bert")])
    ),
    "a fact is gone": delivery(triples=_table(TRIPLES, [{"head_id": "a", "relation": "by", "tail_id": "anna"}])),
    "no facts at all": delivery(triples=None),
    "a cell is empty now": delivery(
        items=pa.table({"item_id": list(ITEMS), "title": ["A", None, "C", "D"], "price": [1, 2, None, 4]})
    ),
    "an attribute is gone": delivery(items=pa.table({"item_id": list(ITEMS), "title": [i.upper() for i in ITEMS]})),
    "no titles": delivery(items=pa.table({"item_id": list(ITEMS), "price": [1, 2, 3, 4]})),
    "no items table": delivery(items=None),
    "no users table": delivery(users=None),
}


def contents(store: GraphStore) -> Graph:
    """Everything the store holds: nodes by id with what is not null, relationships as sorted rows."""
    found: Graph = {}
    for label, kind in GraphSchema().nodes.items():
        names = [*kind.properties.names[1:], *store.attributes(label).names]
        rows = [row for batch in store.read_nodes(label, names) for row in batch.to_pylist()]
        found[label] = {r["id"]: {k: _plain(v) for k, v in r.items() if v is not None} for r in rows}
    for edge, relationship in GraphSchema().relationships.items():
        batches = store.read_relationships(edge, relationship.properties.names)
        rows = [row for batch in batches for row in batch.to_pylist()]
        found["-".join(edge)] = sorted(({k: v for k, v in r.items() if v is not None} for r in rows), key=str)
    return found


def _plain(value: Any) -> Any:
    return np.round(value, 5).tolist() if isinstance(value, list) else value


@pytest.fixture
def fresh(tmp_path: Path) -> Callable[[], GraphStore]:
    """An empty embedded store at each call."""
    folders: Iterator[int] = iter(range(100))
    return lambda: open_store(f"ladybug:{tmp_path / str(next(folders))}")


@pytest.fixture
def built(fresh: Callable[[], GraphStore]) -> Callable[[Delivery], Graph]:
    """What a fresh build of a delivery holds."""

    def build(given: Delivery) -> Graph:
        with fresh() as store:
            load_graph(store, *given)
            return contents(store)

    return build


@pytest.mark.parametrize("change", CHANGES)
def test_the_second_delivery_is_as_a_fresh_build(
    fresh: Callable[[], GraphStore], built: Callable[[Delivery], Graph], change: str
) -> None:
    with fresh() as store:
        load_graph(store, *PLAIN)
        load_graph(store, *CHANGES[change])
        assert contents(store) == built(CHANGES[change])
        again = load_graph(store, *CHANGES[change])
        assert (again.written, again.replaced, again.stale) == (0, 0, {})
        load_graph(store, *PLAIN)  # and back
        assert contents(store) == built(PLAIN)


@pytest.mark.neo4j
def test_delivery_after_delivery_on_neo4j(neo4j_store: Neo4jStore, built: Callable[[Delivery], Graph]) -> None:
    load_graph(neo4j_store, *PLAIN)
    for change, given in CHANGES.items():
        load_graph(neo4j_store, *given)
        assert contents(neo4j_store) == built(given), change


def test_what_a_delivery_does_not_name_stays(fresh: Callable[[], GraphStore]) -> None:
    part = delivery(
        interactions=_table(INTERACTIONS, [{"user_id": "w", "item_id": "a", "split": "train", "weight": 1.0}]),
        items=pa.table({"item_id": ["a"], "title": ["A"], "price": [1]}),
        users=None,
        embeddings={"image": _vectors({"a": [0.3, 0.3]})},
        triples=None,
    )
    with fresh() as store:
        load_graph(store, *PLAIN)
        report = load_graph(store, *part)
        held = contents(store)
    assert set(held["Item"]) == set(ITEMS) and set(held["User"]) == {"u", "w"}
    assert held["User"]["u"]["city"] == "Oslo" and held["Item"]["b"]["price"] == 2
    assert [row["source"] for row in held["Item-HAS_IMAGE-Image"]].count("a") == 1
    assert len(held["Image"]) == 4, "a's former picture went, those of b, c and d stay"
    assert [row["source"] for row in held["Item-RELATED-Entity"]] == ["b"]
    assert "anna" in held["Entity"], "b is still by her"
    assert report.replaced > 0 and report.stale["Item"] == 3
