"""What a store holds beyond its source: counted for free, removed on request. Links written back are never stale."""

from collections.abc import Mapping

import polars as pl
import pyarrow as pa

from graph.schema import EdgeType, GraphSchema
from graph.store import GraphStore

_WRITTEN_BACK = "RECOMMENDED"


def stale(store: GraphStore, nodes: Mapping[str, int], relationships: Mapping[str, int]) -> dict[str, int]:
    """Label or relationship type -> what the store holds of it beyond the loaded rows (`LoadReport`'s counts)."""
    counts = store.counts()
    held = counts.nodes | {kind: n for kind, n in counts.relationships.items() if kind != _WRITTEN_BACK}
    given = {**nodes, **relationships}
    return {kind: n - given.get(kind, 0) for kind, n in held.items() if n > given.get(kind, 0)}


def prune(
    store: GraphStore,
    nodes: Mapping[str, pa.Table],
    relationships: Mapping[EdgeType, pa.Table],
    found: Mapping[str, int],
) -> int:
    """Remove nodes and relationships that the given tables lack, of the kinds in `found` (what `stale` told).

    Returns how many nodes and relationships went; relationships that went along with a node are not counted.
    """
    removed = 0
    for label in GraphSchema().nodes:
        if label in found:
            held = pl.concat([pl.DataFrame(batch) for batch in store.read_nodes(label, [])])
            gone = held if label not in nodes else held.join(_keys(nodes[label], ["id"]), on="id", how="anti")
            removed += store.delete_nodes(label, gone["id"].to_list())
    for edge, kind in GraphSchema().relationships.items():
        batches = list(store.read_relationships(edge, kind.discriminators)) if edge.relation in found else []
        if batches:
            keys = ["source", "target", *kind.discriminators]
            gone = pl.concat([pl.DataFrame(batch) for batch in batches]).select(keys)
            if edge in relationships:
                gone = gone.join(_keys(relationships[edge], keys), on=keys, how="anti", nulls_equal=True)
            removed += store.replace_relationships(edge, gone.clear().to_arrow(), gone.to_arrow())
    return removed


def _keys(table: pa.Table, keys: list[str]) -> pl.DataFrame:
    return pl.DataFrame(pl.from_arrow(table.select(keys)))
