"""What a store holds beyond its source: counted for free; taken out where a delivery replaces it, else on request.

Links written back are never stale.
"""

from collections.abc import Mapping

import polars as pl
import pyarrow as pa

from graph.schema import HAS, MEDIA_LABELS, EdgeType, GraphSchema
from graph.store import GraphStore

_WRITTEN_BACK = "RECOMMENDED"
_OWNED = (*HAS.values(), "SIMILAR", "RELATED")
"""Relationships that belong to their source: a delivery that names it gives all of them."""
_HELD_BY = {MEDIA_LABELS[modality]: (EdgeType("Item", HAS[modality], MEDIA_LABELS[modality]),) for modality in HAS} | {
    "Entity": (EdgeType("Item", "RELATED", "Entity"), EdgeType("Entity", "RELATED", "Entity"))
}
"""Label -> the relationships that hold its nodes in the graph: one that loses the last of them goes."""


def stale(store: GraphStore, nodes: Mapping[str, int], relationships: Mapping[str, int]) -> dict[str, int]:
    """Label or relationship type -> what the store holds of it beyond the loaded rows (`LoadReport`'s counts)."""
    counts = store.counts()
    held = counts.nodes | {kind: n for kind, n in counts.relationships.items() if kind != _WRITTEN_BACK}
    given = {**nodes, **relationships}
    return {kind: n - given.get(kind, 0) for kind, n in held.items() if n > given.get(kind, 0)}


def replace(
    store: GraphStore,
    nodes: Mapping[str, pa.Table],
    relationships: Mapping[EdgeType, pa.Table],
    found: Mapping[str, int],
) -> int:
    """Take out what named items and media have from an earlier delivery, of the kinds in `found`; how much went.

    Media and entities that lose their last link by that go too, unless the delivery names them.
    """
    before = _total(store)
    for edge, kind in GraphSchema().relationships.items():
        if edge.relation not in _OWNED or edge.relation not in found or edge.source == "Entity":
            continue
        named = nodes.get(edge.source)
        if named is None:
            continue
        keys = ["source", "target", *kind.discriminators]
        gone = _held(store, edge, keys).join(_keys(named, ["id"]), left_on="source", right_on="id", how="semi")
        if edge in relationships:
            gone = gone.join(_keys(relationships[edge], keys), on=keys, how="anti", nulls_equal=True)
        if gone.height:
            store.replace_relationships(edge, gone.clear().to_arrow(), gone.to_arrow())
            if edge.target in _HELD_BY:
                _delete_let_go(store, edge.target, gone.select(id="target").unique(), nodes.get(edge.target))
    return before - _total(store)


def prune(
    store: GraphStore,
    nodes: Mapping[str, pa.Table],
    relationships: Mapping[EdgeType, pa.Table],
    found: Mapping[str, int],
) -> int:
    """Remove nodes and relationships that the given tables lack, of the kinds in `found` (what `stale` told).

    Returns how many nodes and relationships went, those that went along with a node included.
    """
    before = _total(store)
    for label in GraphSchema().nodes:
        if label in found:
            held = pl.concat([pl.DataFrame(batch) for batch in store.read_nodes(label, [])])
            gone = held if label not in nodes else held.join(_keys(nodes[label], ["id"]), on="id", how="anti")
            store.delete_nodes(label, gone["id"].to_list())
    for edge, kind in GraphSchema().relationships.items():
        keys = ["source", "target", *kind.discriminators]
        gone = _held(store, edge, keys) if edge.relation in found else pl.DataFrame()
        if gone.height:
            if edge in relationships:
                gone = gone.join(_keys(relationships[edge], keys), on=keys, how="anti", nulls_equal=True)
            store.replace_relationships(edge, gone.clear().to_arrow(), gone.to_arrow())
    return before - _total(store)


def _delete_let_go(store: GraphStore, label: str, candidates: pl.DataFrame, named: pa.Table | None) -> None:
    if named is not None:
        candidates = candidates.join(_keys(named, ["id"]), on="id", how="anti")
    for edge in _HELD_BY[label]:
        if candidates.height:
            candidates = candidates.join(_held(store, edge, ["target"]), left_on="id", right_on="target", how="anti")
    store.delete_nodes(label, candidates["id"].to_list())


def _held(store: GraphStore, edge: EdgeType, keys: list[str]) -> pl.DataFrame:
    """The keys of a relationship's rows in the store."""
    others = [key for key in keys if key not in ("source", "target")]
    batches = [pl.DataFrame(batch) for batch in store.read_relationships(edge, others)]
    schema = dict.fromkeys(keys, pl.String)
    return pl.concat(batches).select(keys) if batches else pl.DataFrame(schema=schema)


def _total(store: GraphStore) -> int:
    counts = store.counts()
    return sum(counts.nodes.values()) + sum(counts.relationships.values())


def _keys(table: pa.Table, keys: list[str]) -> pl.DataFrame:
    return pl.DataFrame(pl.from_arrow(table.select(keys)))
