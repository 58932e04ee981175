"""Tables and media into a graph store: schema, nodes, relationships. The same input again writes nothing.

An item or user that a delivery names has exactly the attributes, media, vectors, neighbours and facts that the delivery
gives it: what an earlier one gave besides goes. What the delivery does not name stays until it is pruned.

Triples: a head that is an item id is that item, any other head an Entity. A tail is an Entity, unless its
`tail_type` is "Item" and it is an item id. The schema leads from items to entities, so a triple that ends at
an item is turned: `(entity, r, item)` becomes `(item, "inverse of r", entity)`. Between two items stands
an Entity of type "Item" that names the tail, and the tail is linked to it by the relation "same as".
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import polars as pl
import pyarrow as pa

from common.progress import Progress
from etl import prune as pruning
from etl.media import MediaGraph
from etl.tables import PROVENANCE, Tables
from graph.schema import HAS, MEDIA_LABELS, ORIGIN, EdgeType, GraphSchema
from graph.store import GraphStore

INVERSE = "inverse of "
SAME = "same as"

_TRIPLE = ("source", "relation", "target")
_WRITTEN = {ORIGIN if name == "source" else name: name for name in PROVENANCE.names}
"""Column of a relationship -> column of the triples: who wrote it."""


@dataclass(frozen=True)
class LoadReport:
    """What was given to the store and what changed in it."""

    nodes: dict[str, int] = field(default_factory=dict)
    """Label -> rows."""
    relationships: dict[str, int] = field(default_factory=dict)
    """Relationship type -> rows, all label pairs added up."""
    written: int = 0
    """Nodes and relationships that were new or changed."""
    stale: dict[str, int] = field(default_factory=dict)
    """Label or relationship type -> how many the store still holds that the source no longer has."""
    replaced: int = 0
    """Nodes and relationships that went because the delivery gives their items others."""
    removed: int = 0
    """Nodes and relationships that pruning took out, those that went along with a node included."""


def load_graph(
    store: GraphStore,
    tables: Tables,
    media: MediaGraph,
    *,
    prune: bool = False,
    progress: Progress | None = None,
) -> LoadReport:
    """Write validated, split tables and their media, and take out what they replace. `progress` counts rows.

    With `prune` what the source no longer has is removed afterwards, but for RECOMMENDED links. Held-out
    interactions are written with their split; whoever reads the graph for training leaves them out.
    """
    nodes = dict(graph_nodes(tables, media))
    edges = dict(graph_relationships(tables, media))
    store.create_schema(graph_schema(nodes, media))
    nodes |= {label: _with_dropped_attributes(store, label, nodes[label]) for label in ("User", "Item")}
    total = sum(map(len, nodes.values())) + sum(map(len, edges.values()))
    done = written = 0
    relationships: dict[str, int] = {}
    for label, table in nodes.items():
        written += store.write_nodes(label, table)
        done = _tell(progress, done + len(table), total)
    for edge, table in edges.items():
        written += store.write_relationships(edge, table)
        relationships[edge.relation] = relationships.get(edge.relation, 0) + len(table)
        done = _tell(progress, done + len(table), total)
    given = {label: len(table) for label, table in nodes.items()}
    stale = pruning.stale(store, given, relationships)
    replaced = removed = 0
    if stale:
        replaced = pruning.replace(store, nodes, edges, stale)
        stale = pruning.stale(store, given, relationships) if replaced else stale
    if prune and stale:
        removed = pruning.prune(store, nodes, edges, stale)
        stale = pruning.stale(store, given, relationships)
    return LoadReport(given, relationships, written, stale, replaced, removed)


def graph_schema(nodes: dict[str, pa.Table], media: MediaGraph) -> GraphSchema:
    """The graph's schema with this dataset's attributes and vector lengths."""
    schema = GraphSchema().with_dimensions(media.dimensions)
    for label in ("User", "Item"):
        schema = schema.with_attributes(label, nodes[label].schema.remove_metadata())
    return schema


def graph_nodes(tables: Tables, media: MediaGraph) -> Iterator[tuple[str, pa.Table]]:
    """Label -> node rows."""
    yield "User", _keyed(tables.users, "user_id")
    yield "Item", _keyed(tables.items, "item_id")
    for modality, table in media.nodes.items():
        yield MEDIA_LABELS[modality], table
    if tables.triples is not None:
        yield "Entity", related(tables)[0]


def graph_relationships(tables: Tables, media: MediaGraph) -> Iterator[tuple[EdgeType, pa.Table]]:
    """Edge type -> relationship rows."""
    interacted = tables.interactions.select(["user_id", "item_id", "weight", "timestamp", "split"])
    yield (
        EdgeType("User", "INTERACTED", "Item"),
        interacted.rename_columns(["source", "target", "weight", "timestamp", "split"]).replace_schema_metadata(),
    )
    if tables.social is not None:
        follows = tables.social.rename_columns(["source", "target"]).replace_schema_metadata()
        yield EdgeType("User", "FOLLOWS", "User"), follows
    for modality, table in media.has.items():
        yield EdgeType("Item", HAS[modality], MEDIA_LABELS[modality]), table
    yield from media.similar.items()
    if tables.triples is not None:
        _, from_items, from_entities = related(tables)
        yield EdgeType("Item", "RELATED", "Entity"), from_items
        yield EdgeType("Entity", "RELATED", "Entity"), from_entities


def related(tables: Tables) -> tuple[pa.Table, pa.Table, pa.Table]:
    """The triples as Entity rows, Item-RELATED-Entity rows and Entity-RELATED-Entity rows."""
    if tables.triples is None or tables.items is None:
        raise ValueError("validated tables with triples are wanted")
    items = pl.Series(values=tables.items["item_id"].to_pylist(), dtype=pl.String).implode()
    rows = _with_provenance(tables.triples).with_columns(
        from_item=pl.col("head_id").is_in(items),
        to_item=pl.col("tail_id").is_in(items) & (pl.col("tail_type") == "Item").fill_null(False),
    )
    between = rows.filter("from_item", "to_item").with_columns(entity="item:" + pl.col("tail_id"))
    turned = rows.filter(~pl.col("from_item"), "to_item")
    plain = rows.filter(~pl.col("to_item"))
    relation = pl.col("relation")
    item_rows = pl.concat(
        [
            plain.filter("from_item").select(source="head_id", relation="relation", target="tail_id", **_WRITTEN),
            turned.select(source="tail_id", relation=INVERSE + relation, target="head_id", **_WRITTEN),
            between.select(source="head_id", relation="relation", target="entity", **_WRITTEN),
            between.select(source="tail_id", relation=pl.lit(SAME), target="entity", **_WRITTEN),
        ]
    )
    entity_rows = plain.filter(~pl.col("from_item")).select(
        source="head_id", relation="relation", target="tail_id", **_WRITTEN
    )
    none = pl.lit(None, pl.String)
    entities = pl.concat(
        [
            plain.select(id="tail_id", name="tail_name", type="tail_type"),
            rows.filter(~pl.col("from_item")).select(id="head_id", name=none, type="head_type"),
            between.select(id="entity", name=pl.coalesce("tail_name", "tail_id"), type="tail_type"),
        ]
    )
    merged = entities.group_by("id").agg(pl.col("name").drop_nulls().min(), pl.col("type").drop_nulls().min())
    named = merged.with_columns(pl.coalesce("name", "id").alias("name")).sort("id")
    return named.to_arrow().cast(GraphSchema().nodes["Entity"].properties), _facts(item_rows), _facts(entity_rows)


def _with_provenance(triples: pa.Table) -> pl.DataFrame:
    frame = pl.DataFrame(triples)
    missing = [name for name in PROVENANCE.names if name not in frame.columns]
    return frame.with_columns(pl.lit(None, pl.String).alias(name) for name in missing)


def _facts(rows: pl.DataFrame) -> pa.Table:
    """One row a fact: the catalogue's own before a generated one."""
    own = rows.sort(pl.col(ORIGIN).is_not_null(), maintain_order=True)
    edge = pa.schema([(name, pa.string()) for name in (*_TRIPLE, *_WRITTEN)])
    return own.unique(subset=_TRIPLE, keep="first", maintain_order=True).to_arrow().cast(edge)


def _keyed(table: pa.Table | None, key: str) -> pa.Table:
    if table is None:
        raise ValueError("validated tables are wanted: users and items are complete in them")
    names = ["id" if name == key else name for name in table.column_names]
    return table.rename_columns(names).replace_schema_metadata()


def _with_dropped_attributes(store: GraphStore, label: str, table: pa.Table) -> pa.Table:
    """The table with a column of nulls for each attribute that an earlier delivery gave and this one does not."""
    own = GraphSchema().nodes[label].properties
    for column in (*own, *store.attributes(label)):
        if column.name not in table.column_names:
            table = table.append_column(column, pa.nulls(len(table), column.type))
    return table


def _tell(progress: Progress | None, done: int, total: int) -> int:
    if progress is not None:
        progress(done, total)
    return done
