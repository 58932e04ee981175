"""A source that grows and shrinks: new rows add only themselves, vanished ones go on request, on both stores."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from etl.config import NeighbourConfig
from etl.load import LoadReport, load_graph
from etl.media import build_media
from etl.media_links import link_media
from etl.tables import INTERACTIONS, SOCIAL, TRIPLES, Tables
from etl.validate import validate
from graph import GraphStore, open_store
from graph.neo4j.store import Neo4jStore
from graph.schema import EdgeType

RECOMMENDED = EdgeType("User", "RECOMMENDED", "Item")
VECTORS = {"a": [1.0, 0.0], "b": [0.9, 0.1], "c": [0.0, 1.0], "d": [0.1, 0.9]}
Load = Callable[..., LoadReport]


def catalogue(items: str, pairs: list[str], *, entities: int = 2) -> Tables:
    """Items with a vector each, `user+item` pairs, and entities of item `a` that point at the next one."""
    triples = [{"head_id": "a", "relation": "by", "tail_id": "e0"}]
    triples += [{"head_id": f"e{n}", "relation": "near", "tail_id": f"e{n + 1}"} for n in range(entities - 1)]
    return validate(
        Tables(
            _table(INTERACTIONS, [{"user_id": p[0], "item_id": p[1], "split": "train", "weight": 1.0} for p in pairs]),
            items=pa.table({"item_id": list(items), "title": [i.upper() for i in items]}),
            embeddings={
                "image": pa.table(
                    {"item_id": list(items), "vector": pa.array([VECTORS[i] for i in items], pa.list_(pa.float32(), 2))}
                )
            },
            triples=_table(TRIPLES, triples),
            social=_table(SOCIAL, [{"user_id": "u", "friend_id": "v"}]),
        ),
        strict=True,
    )


def _table(schema: pa.Schema, rows: list[dict[str, object]]) -> pa.Table:
    return pa.Table.from_pylist([{n: row.get(n) for n in schema.names} for row in rows], schema)


class PruneCases:
    """What every store does; a subclass gives `store`."""

    @pytest.fixture
    def load(self, store: GraphStore) -> Load:
        def load(tables: Tables, *, prune: bool = False) -> LoadReport:
            media = link_media(build_media(tables, {}), tables, NeighbourConfig(k=1))
            return load_graph(store, tables, media, prune=prune)

        return load

    def test_what_is_new_adds_only_itself(self, load: Load) -> None:
        load(catalogue("ab", ["ua", "vb"]))
        # item c, its picture, its HAS_IMAGE and one SIMILAR from it; one interaction; one entity and its link
        grown = catalogue("abc", ["ua", "vb", "vc"], entities=3)
        report = load(grown)
        assert report.written == 4 + 1 + 2
        assert report.stale == {}
        assert load(grown).written == 0

    def test_what_vanished_is_told_and_goes_on_request(self, load: Load, store: GraphStore) -> None:
        load(catalogue("abcd", ["ua", "ub", "vc", "vd"], entities=3))
        links = {"source": ["u", "v", "v"], "target": ["a", "c", "d"], "rank": [1, 1, 2], "model": ["m"] * 3}
        store.write_relationships(RECOMMENDED, pa.table(links))
        less = catalogue("abc", ["ua", "vb"])
        told = load(less)
        assert (told.written, told.removed) == (2, 0)  # v's interaction, and c's nearest is b now that d is gone
        assert told.stale["Item"] == told.stale["Image"] == told.stale["Entity"] == 1
        assert told.stale["INTERACTED"] == 3
        pruned = load(less, prune=True)
        assert pruned.written == 0 and pruned.removed > 0 and pruned.stale == {}
        counts = store.counts()
        assert {k: n for k, n in counts.nodes.items() if n} == pruned.nodes
        assert counts.relationships["RECOMMENDED"] == 2
        kept = {k: n for k, n in counts.relationships.items() if n and k != "RECOMMENDED"}
        assert kept == pruned.relationships
        again = load(less, prune=True)
        assert (again.written, again.removed) == (0, 0)

    def test_a_kind_that_the_source_lost_whole_goes_too(self, load: Load, store: GraphStore) -> None:
        load(catalogue("ab", ["ua"]))
        without = replace(catalogue("ab", ["ua"]), triples=None, social=None)
        assert load(without, prune=True).removed > 0
        counts = store.counts()
        assert counts.nodes["Entity"] == counts.relationships["RELATED"] == counts.relationships["FOLLOWS"] == 0


class TestLadybugPrune(PruneCases):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[GraphStore]:
        with open_store(f"ladybug:{tmp_path / 'graph'}") as opened:
            yield opened


@pytest.mark.neo4j
class TestNeo4jPrune(PruneCases):
    @pytest.fixture
    def store(self, neo4j_store: Neo4jStore) -> GraphStore:
        return neo4j_store
