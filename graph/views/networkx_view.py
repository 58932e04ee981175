"""The graph, or a part of it, as networkx graphs."""

from collections.abc import Iterator, Mapping, Sequence

import networkx as nx

from graph.errors import SchemaError, StoreError
from graph.schema import EdgeType, GraphSchema, stored_name
from graph.store import GraphStore

Node = tuple[str, str]
"""How a node is named in networkx: `(label, id)`."""

TRAIN_GRAPH = tuple(edge for edge in GraphSchema().relationships if edge.relation != "RECOMMENDED")
"""What a view holds unless told otherwise: everything but links that a model wrote back."""

_CAPTIONS: Mapping[str, str] = {"Item": "title", "Entity": "name"}
_MOST_ROWS = 1_000_000
_FORWARD = """
MATCH (a:{0})-[r:{1}]->(b:{2}) WHERE a.id IN $ids{where}
RETURN DISTINCT b.id AS id ORDER BY id LIMIT $most"""
_BACKWARD = """
MATCH (b:{0})-[r:{1}]->(a:{2}) WHERE a.id IN $ids{where}
RETURN DISTINCT b.id AS id ORDER BY id LIMIT $most"""
_BETWEEN = """
MATCH (a:{0})-[r:{1}]->(b:{2}) WHERE a.id IN $sources AND b.id IN $targets{where}
RETURN a.id AS source, b.id AS target{properties} ORDER BY source, target{parallel}"""
_NODES = "MATCH (n:{label}) WHERE n.id IN $ids RETURN n.id AS id{caption} ORDER BY id"


def links_between(labels: Sequence[str] | None, relations: Sequence[str] | None) -> tuple[EdgeType, ...]:
    """The kinds of link between `labels`, of the types `relations`; None stands for all but written-back links.

    Raises `SchemaError` for an unknown name.
    """
    schema = GraphSchema()
    types = dict.fromkeys(edge.relation for edge in schema.relationships)
    for name, known, what in [
        *((name, schema.nodes, "label") for name in labels or ()),
        *((name, types, "relationship type") for name in relations or ()),
    ]:
        if name not in known:
            raise SchemaError(f"{what} {name!r} is unknown; use one of {', '.join(known)}")
    kept = TRAIN_GRAPH if relations is None else [e for e in schema.relationships if e.relation in relations]
    return tuple(edge for edge in kept if labels is None or {edge.source, edge.target} <= set(labels))


def to_networkx(
    store: GraphStore,
    *,
    edges: Sequence[EdgeType] = TRAIN_GRAPH,
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
    edges: Sequence[EdgeType] = TRAIN_GRAPH,
    splits: Sequence[str] = ("train",),
    limit: int = 500,
) -> nx.MultiDiGraph:
    """What lies within `hops` links of a node, whatever their direction: at most `limit` nodes, nearest first.

    Only the neighbourhood is read. Raises `StoreError` where the node does not exist, `SchemaError` for an unknown
    label or kind of link.
    """
    known = GraphSchema()
    if label not in known.nodes:
        raise SchemaError(f"label {label!r} is unknown; use one of {', '.join(known.nodes)}")
    unknown = [edge for edge in edges if edge not in known.relationships]
    if unknown:
        raise SchemaError(f"{'-'.join(unknown[0])} is no kind of link of the graph")
    centre: Node = (label, identifier)
    if not store.query(_NODES.format(label=label, caption=""), {"ids": [identifier]}).num_rows:
        raise StoreError(f"{label} {identifier!r} is not in {store.address}; give an id that is")
    kept, frontier = [centre], [centre]
    for _ in range(hops):
        seen = set(kept)
        frontier = sorted(_neighbours(store, frontier, edges, splits, limit + len(kept)) - seen)
        kept = [*kept, *frontier][:limit]
        if len(kept) == limit or not frontier:
            break
    return _induced(store, _by_label(kept), edges, splits)


def _neighbours(
    store: GraphStore, frontier: Sequence[Node], edges: Sequence[EdgeType], splits: Sequence[str], most: int
) -> set[Node]:
    """The nodes one link away; of each kind of link the first `most` by id."""
    ids, found = _by_label(frontier), set[Node]()
    for edge in edges:
        for statement, here, there in (
            (_FORWARD, edge.source, edge.target),
            (_BACKWARD, edge.target, edge.source),
        ):
            if here in ids:
                where, values = _of_split(edge, splits)
                cypher = statement.format(*edge, where=where)
                rows = store.query(cypher, {**values, "ids": ids[here], "most": most}, limit=most)
                found.update((there, str(name)) for name in rows["id"].to_pylist())
    return found


def _induced(
    store: GraphStore, ids: Mapping[str, list[str]], edges: Sequence[EdgeType], splits: Sequence[str]
) -> nx.MultiDiGraph:
    """The nodes and every link between them."""
    graph = nx.MultiDiGraph()
    for label, names in ids.items():
        caption = f", n.{_CAPTIONS[label]} AS {_CAPTIONS[label]}" if label in _CAPTIONS else ""
        rows = store.query(_NODES.format(label=label, caption=caption), {"ids": names}, limit=_MOST_ROWS)
        graph.add_nodes_from(((label, row["id"]), {"label": label, **row}) for row in rows.to_pylist())
    for edge in edges:
        if edge.source not in ids or edge.target not in ids:
            continue
        where, values = _of_split(edge, splits)
        kind = GraphSchema().relationships[edge]
        returned = "".join(f", r.{stored_name(name)} AS {name}" for name in kind.properties.names)
        parallel = "".join(f", {name}" for name in kind.discriminators)
        cypher = _BETWEEN.format(*edge, where=where, properties=returned, parallel=parallel)
        found = store.query(
            cypher, {**values, "sources": ids[edge.source], "targets": ids[edge.target]}, limit=_MOST_ROWS
        )
        for row in found.to_pylist():
            source, target = (edge.source, row.pop("source")), (edge.target, row.pop("target"))
            graph.add_edge(source, target, **row, type=edge.relation)
    return graph


def _by_label(nodes: Sequence[Node]) -> dict[str, list[str]]:
    ids: dict[str, list[str]] = {}
    for label, identifier in nodes:
        ids.setdefault(label, []).append(identifier)
    return ids


def _of_split(edge: EdgeType, splits: Sequence[str]) -> tuple[str, dict[str, list[str]]]:
    return (" AND r.split IN $splits", {"splits": list(splits)}) if edge.relation == "INTERACTED" else ("", {})


def _edge_rows(store: GraphStore, edge: EdgeType, splits: Sequence[str]) -> Iterator[dict[str, object]]:
    columns = GraphSchema().relationships[edge].properties.names
    for batch in store.read_relationships(edge, columns):
        for row in batch.to_pylist():
            if edge.relation != "INTERACTED" or row["split"] in splits:
                yield row
