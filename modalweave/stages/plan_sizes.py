"""The sizes of a graph in memory, of one in a store, or of one that a source would give."""

from collections.abc import Iterable

import polars as pl
import pyarrow as pa
from torch_geometric.data import HeteroData

from etl.tables import Tables
from gnn.footprint import Medium, Sizes
from graph.schema import MEDIA_LABELS, MODALITIES
from graph.store import GraphStore

_WIDTH = 512
"""Length of a vector that no encoder has made yet."""


def graph_sizes(data: HeteroData) -> Sizes:
    """Of a graph in memory."""
    edges = {key: int(data[key].edge_index.shape[1]) for key in data.edge_types if "edge_index" in data[key]}
    interacted = data["User", "INTERACTED", "Item"]
    held_out = sum(int(interacted[f"{split}_label_index"].shape[1]) for split in ("valid", "test"))
    media = {
        m: Medium(
            int(data[label].num_nodes),
            int(data[label].x.shape[1]),
            edges.get((label, "SIMILAR", label), 0),
        )
        for m, label in MEDIA_LABELS.items()
        if data[label].num_nodes
    }
    return Sizes(
        users=int(data["User"].num_nodes),
        items=int(data["Item"].num_nodes),
        pairs=edges[("User", "INTERACTED", "Item")],
        held_out=held_out,
        entities=int(data["Entity"].num_nodes),
        related=sum(n for key, n in edges.items() if key[1] == "RELATED"),
        follows=sum(n for key, n in edges.items() if key[1] == "FOLLOWS"),
        media=media,
    )


def store_sizes(store: GraphStore) -> Sizes:
    """From a store's counts, without reading the graph; held-out pairs count as training pairs."""
    counts = store.counts()
    nodes, links = counts.nodes, counts.relationships
    with_media = {m: nodes.get(label, 0) for m, label in MEDIA_LABELS.items() if nodes.get(label, 0)}
    total = max(sum(with_media.values()), 1)
    media = {
        m: Medium(number, _width(store, MEDIA_LABELS[m]), round(links.get("SIMILAR", 0) * number / total))
        for m, number in with_media.items()
    }
    return Sizes(
        users=nodes.get("User", 0),
        items=nodes.get("Item", 0),
        pairs=links.get("INTERACTED", 0),
        entities=nodes.get("Entity", 0),
        related=links.get("RELATED", 0),
        follows=links.get("FOLLOWS", 0),
        media=media,
    )


def source_sizes(tables: Tables, neighbours: int) -> Sizes:
    """From a source's tables, before anything is encoded or linked."""
    items = _distinct(t["item_id"] for t in (tables.interactions, tables.items) if t is not None)
    users = _distinct(t["user_id"] for t in (tables.interactions, tables.users) if t is not None)
    media = {}
    for m in MODALITIES:
        given = tables.embeddings.get(m)
        raw = 0
        if tables.media is not None:
            raw = int((pl.Series(tables.media["modality"]) == m).sum())
        number = given.num_rows if given is not None else raw
        linked = tables.neighbours.get(m)
        if number or linked is not None:
            width = given.schema.field("vector").type.list_size if given is not None else _WIDTH if raw else 0
            links = linked.num_rows if linked is not None else number * neighbours
            media[m] = Medium(number or items, width, links)
    related = tables.triples.num_rows if tables.triples is not None else 0
    entities = _distinct([tables.triples["tail_id"]]) if tables.triples is not None else 0
    follows = tables.social.num_rows if tables.social is not None else 0
    return Sizes(users, items, tables.interactions.num_rows, 0, entities, related, follows, media)


def _width(store: GraphStore, label: str) -> int:
    """Length of the vectors of a label, by its first node that has one."""
    batch = next(iter(store.read_nodes(label, ["embedding"])), None)
    if batch is None:
        return 0
    lengths = batch["embedding"].cast(pa.list_(pa.float32())).value_lengths()
    return int(max(lengths.drop_null().to_pylist(), default=0))


def _distinct(columns: Iterable[pa.ChunkedArray]) -> int:
    return int(pl.concat([pl.Series(column).cast(pl.String) for column in columns]).n_unique())
