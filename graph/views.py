"""The graph, or a part of it, as networkx graphs, and what its shape says."""

from collections.abc import Iterator, Mapping, Sequence

import networkx as nx
import numpy as np
import polars as pl
import pyarrow as pa
import scipy.sparse as sp
from pydantic import BaseModel, PositiveInt
from scipy.sparse import csgraph

from graph.errors import SchemaError, StoreError
from graph.schema import EdgeType, GraphSchema
from graph.store import GraphStore

Node = tuple[str, str]
"""How a node is named in networkx: `(label, id)`."""

_DEFAULT = tuple(edge for edge in GraphSchema().relationships if edge.relation != "RECOMMENDED")


class StatsConfig(BaseModel, extra="forbid"):
    """What `graph_stats` computes."""

    top: PositiveInt = 10
    """Nodes listed by PageRank."""

    damping: float = 0.85
    """PageRank's chance to follow a link (Page et al. 1999)."""

    max_community_edges: PositiveInt = 300_000
    """Above this many edges communities are not computed: networkx would need minutes."""

    seed: int = 0
    """Makes the communities the same every time."""


def to_networkx(
    store: GraphStore,
    *,
    edges: Sequence[EdgeType] = _DEFAULT,
    labels: Sequence[str] | None = None,
    splits: Sequence[str] = ("train",),
    properties: Mapping[str, Sequence[str]] | None = None,
) -> nx.MultiDiGraph:
    """A filtered copy of the graph with nodes `(label, id)`; an edge's `type` is its relationship type.

    `edges` are the relationship kinds, between `labels` only where given; interactions are kept where their
    split is in `splits`. Every node has `label`, and the named `properties` of its label (e.g.
    `{"Item": ["title"]}`); edges have their own. Nodes without an edge are kept.
    """
    kept = [edge for edge in edges if labels is None or {edge.source, edge.target} <= set(labels)]
    wanted = labels if labels is not None else list(dict.fromkeys(x for e in kept for x in (e.source, e.target)))
    graph = nx.MultiDiGraph()
    for label in wanted:
        for batch in store.read_nodes(label, list((properties or {}).get(label, ()))):
            graph.add_nodes_from(((label, row["id"]), {"label": label, **row}) for row in batch.to_pylist())
    for edge in kept:
        for row in _edge_rows(store, edge, splits):
            source, target = (edge.source, row.pop("source")), (edge.target, row.pop("target"))
            graph.add_edge(source, target, **row, type=edge.relation)
    return graph


def ego_network(
    store: GraphStore,
    label: str,
    identifier: str,
    *,
    hops: int = 1,
    edges: Sequence[EdgeType] = _DEFAULT,
    splits: Sequence[str] = ("train",),
    limit: int = 500,
) -> nx.MultiDiGraph:
    """What lies within `hops` links of a node, whatever their direction: at most `limit` nodes, nearest first.

    Raises `StoreError` where the node does not exist, `SchemaError` for an unknown label.
    """
    if label not in GraphSchema().nodes:
        raise SchemaError(f"label {label!r} is unknown; use one of {', '.join(GraphSchema().nodes)}")
    whole = to_networkx(store, edges=edges, splits=splits, properties={"Item": ["title"], "Entity": ["name"]})
    centre = (label, identifier)
    if centre not in whole:
        raise StoreError(f"{label} {identifier!r} is not in {store.address}; give an id that is")
    distances = nx.single_source_shortest_path_length(whole.to_undirected(as_view=True), centre, cutoff=hops)
    nearest = sorted(distances, key=lambda node: (distances[node], node))[:limit]
    return whole.subgraph(nearest).copy()


class GraphStats(BaseModel, extra="forbid"):
    """The shape of the graph."""

    nodes: int
    """Nodes in all."""
    edges: int
    """Relationships in all."""
    degree: dict[str, dict[str, float]]
    """Label -> mean, median, max and the share of nodes without any link."""
    components: int
    """Weakly connected components."""
    largest_component: float
    """Share of all nodes in the largest."""
    communities: int | None
    """Communities by label propagation; None above the configured number of edges."""
    modularity: float | None
    """How much denser those communities are than chance (Newman 2004)."""
    pagerank: list[tuple[str, str, float]]
    """The top nodes: label, id, PageRank."""


def graph_stats(store: GraphStore, *, config: StatsConfig | None = None) -> GraphStats:
    """Degrees, components, communities and PageRank of the train graph, links taken as undirected."""
    config = config or StatsConfig()
    nodes = pl.concat([_node_frame(store, label) for label in GraphSchema().nodes]).sort("label", "id")
    nodes = nodes.with_row_index("index")
    pairs = np.concatenate([_pairs(store, edge, nodes) for edge in _DEFAULT], axis=1)
    size = nodes.height
    links = sp.coo_matrix((np.ones(pairs.shape[1]), (pairs[0], pairs[1])), shape=(size, size)).tocsr()
    links = links + links.T
    degree = np.asarray(links.sum(axis=1)).ravel()
    count, component = csgraph.connected_components(links, directed=False)
    communities, modularity = _communities(links, config) if pairs.shape[1] > 0 else (None, None)
    rank = _pagerank(links, degree, config.damping)
    order = np.lexsort((np.arange(size), -rank))[: config.top]
    names = nodes.select("label", "id").rows()
    return GraphStats(
        nodes=size,
        edges=int(pairs.shape[1]),
        degree=_degrees(nodes["label"], degree),
        components=int(count),
        largest_component=float(np.bincount(component).max() / size) if size else 0.0,
        communities=communities,
        modularity=modularity,
        pagerank=[(*names[i], float(rank[i])) for i in order],
    )


def _edge_rows(store: GraphStore, edge: EdgeType, splits: Sequence[str]) -> Iterator[dict[str, object]]:
    columns = GraphSchema().relationships[edge].properties.names
    for batch in store.read_relationships(edge, columns):
        for row in batch.to_pylist():
            if edge.relation != "INTERACTED" or row["split"] in splits:
                yield row


def _node_frame(store: GraphStore, label: str) -> pl.DataFrame:
    ids = [batch["id"] for batch in store.read_nodes(label, [])]
    series = pl.Series("id", pa.chunked_array(ids, pa.string()), dtype=pl.String)
    return pl.DataFrame({"label": pl.repeat(label, len(series), eager=True), "id": series})


def _pairs(store: GraphStore, edge: EdgeType, nodes: pl.DataFrame) -> np.ndarray:
    """`[2, E]` node indices of the edge kind, train interactions only."""
    columns = ["split"] if edge.relation == "INTERACTED" else []
    batches = [b.select(["source", "target", *columns]) for b in store.read_relationships(edge, columns)]
    schema = pa.schema([(name, pa.string()) for name in ("source", "target", *columns)])
    frame = pl.DataFrame(pl.from_arrow(pa.Table.from_batches([b.cast(schema) for b in batches], schema)))
    if columns:
        frame = frame.filter(split="train")
    ends = []
    for end, label in (("source", edge.source), ("target", edge.target)):
        index = nodes.filter(label=label).select(pl.col("id").alias(end), pl.col("index").alias("__index"))
        ends.append(frame.join(index, on=end, how="left", maintain_order="left")["__index"].to_numpy())
    return np.stack(ends).astype(np.int64)


def _degrees(labels: pl.Series, degree: np.ndarray) -> dict[str, dict[str, float]]:
    frame = pl.DataFrame({"label": labels, "degree": degree})
    value = pl.col("degree")
    summary = frame.group_by("label", maintain_order=True).agg(
        mean=value.mean(), median=value.median(), max=value.max(), isolated=(value == 0).mean()
    )
    return {row.pop("label"): row for row in summary.to_dicts()}


def _communities(links: sp.csr_matrix, config: StatsConfig) -> tuple[int | None, float | None]:
    if links.nnz // 2 > config.max_community_edges:
        return None, None
    graph = nx.from_scipy_sparse_array(links)
    found = list(nx.community.fast_label_propagation_communities(graph, weight="weight", seed=config.seed))
    return len(found), float(nx.community.modularity(graph, found))


def _pagerank(links: sp.csr_matrix, degree: np.ndarray, damping: float) -> np.ndarray:
    """Power iteration; nodes without links spread their rank over all."""
    size = len(degree)
    rank = np.full(size, 1 / max(1, size))
    share = np.divide(1.0, degree, out=np.zeros(size), where=degree > 0)
    for _ in range(100):
        spread = links.T @ (rank * share) + rank[degree == 0].sum() / max(1, size)
        following = damping * spread + (1 - damping) / max(1, size)
        if np.abs(following - rank).sum() < 1e-10:
            return following
        rank = following
    return rank
