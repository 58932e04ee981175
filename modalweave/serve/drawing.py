"""Parts of the graph to draw: around a node, or what networkx holds of a query's rows or of an explanation."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import networkx as nx

from graph.errors import SchemaError
from graph.schema import GraphSchema, RelationshipKind
from graph.store import GraphStore
from graph.views.result_graph import captions
from modalweave.serve.answers import GraphAnswer, Link, Node
from modalweave.serve.queries import NotThere, cards

MOST_NODES = 300
"""More than that nobody can tell apart."""

_WIDTH = 48
_TITLE = {"Item": "title", "Entity": "name", "Text": "content", "Image": "uri", "Audio": "uri", "User": "id"}


class _Step(NamedTuple):
    """How a kind of relationship is followed from a node: names come from the schema alone, values never."""

    kind: RelationshipKind
    other: str
    outward: bool

    @property
    def query(self) -> str:
        edge, title = self.kind.edge, _TITLE[self.other]
        ends = "(n:{0})-[r:{1}]->(o:{2})" if self.outward else "(o:{0})-[r:{1}]->(n:{2})"
        returned = "".join(f", r.{name} AS r_{name}" for name in self.kind.stored)
        # the best links first: the most alike, the first places, the newest
        first = next((f"r.{n} {how}, " for n, how in _FIRST if n in self.kind.properties.names), "")
        return (
            f"MATCH {ends.format(*edge)} WHERE n.id = $id RETURN o.id AS id, o.{title} AS title{returned} "
            f"ORDER BY {first}id LIMIT $limit"
        )


_FIRST = (("rank", "ASC"), ("score", "DESC"), ("timestamp", "DESC"), ("position", "ASC"), ("relation", "ASC"))


def around(store: GraphStore, label: str, identifier: str, types: Sequence[str], limit: int) -> GraphAnswer:
    """A node and what it is linked to by some types of relationship (all without any), `limit` links of each.

    Raises `NotThere` for a node that is not there, `SchemaError` for a label or a type that no graph has.
    """
    steps = list(_steps(label, types))
    centre = _found(store, label, identifier).model_copy(update={"marked": True})
    nodes, links, cut = {centre.key: centre}, [], False
    for step in steps:
        rows = _rows(store, step, identifier, limit + 1)
        cut = cut or len(rows) > limit
        for row in rows[:limit]:
            other = _node(step.other, row.pop("id"), row.pop("title"))
            nodes.setdefault(other.key, other)
            ends = (centre.key, other.key) if step.outward else (other.key, centre.key)
            said = {name.removeprefix("r_"): value for name, value in row.items() if value is not None}
            links.append(Link(source=ends[0], target=ends[1], type=step.kind.edge.relation, properties=said))
    kept = dict(list(nodes.items())[:MOST_NODES])
    links = [link for link in links if link.source in kept and link.target in kept]
    return GraphAnswer(nodes=_pictured(store, kept.values()), links=links, cut=cut or len(kept) < len(nodes))


def of_networkx(store: GraphStore, graph: nx.MultiDiGraph) -> GraphAnswer:
    """A graph as `graph.views.result_graph` gives it, its first nodes where there are many."""
    keys: dict[Any, str] = {}
    nodes: dict[str, Node] = {}
    words = dict(captions(graph, _WIDTH))
    for place, (node, data) in enumerate(graph.nodes(data=True)):
        label, held = str(data.get("label") or "?"), dict(data.get("properties") or {})
        identifier = held.get("id")
        key = f"{label}:{identifier}" if identifier is not None else f"?{place}"
        keys[node] = key
        named = str(identifier) if identifier is not None else None
        nodes[key] = Node(
            key=key,
            label=label,
            id=named,
            caption=words[node] or named or "?",
            marked=bool(data.get("marked")),
            properties=held,
        )
    kept = dict(list(nodes.items())[:MOST_NODES])
    links = [
        Link(source=keys[a], target=keys[b], type=str(data["type"]), properties=data["properties"])
        for a, b, data in graph.edges(data=True)
        if keys[a] in kept and keys[b] in kept
    ]
    return GraphAnswer(nodes=_pictured(store, kept.values()), links=links, cut=len(kept) < len(nodes))


def _steps(label: str, types: Sequence[str]) -> Iterator[_Step]:
    schema = GraphSchema()
    known = {edge.relation for edge in schema.relationships}
    if label not in schema.nodes:
        raise SchemaError(f"label {label!r} is unknown; use one of {', '.join(schema.nodes)}")
    for name in types:
        if name not in known:
            raise SchemaError(f"relationship type {name!r} is unknown; use one of {', '.join(sorted(known))}")
    for edge, kind in schema.relationships.items():
        if types and edge.relation not in types:
            continue
        if edge.source == label:
            yield _Step(kind, edge.target, outward=True)
        if edge.target == label:
            yield _Step(kind, edge.source, outward=False)


def _rows(store: GraphStore, step: _Step, identifier: str, limit: int) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = store.query(step.query, {"id": identifier, "limit": limit}).to_pylist()
    return rows


def _found(store: GraphStore, label: str, identifier: str) -> Node:
    query = f"MATCH (n:{label}) WHERE n.id = $id RETURN n.id AS id, n.{_TITLE[label]} AS title"
    rows = store.query(query, {"id": identifier}).to_pylist()
    if not rows:
        raise NotThere(f"{label} {identifier!r} is not in {store.address}")
    return _node(label, rows[0]["id"], rows[0]["title"])


def _node(label: str, identifier: str, title: str | None) -> Node:
    words = " ".join((title or identifier).split())
    caption = words if len(words) <= _WIDTH else f"{words[: _WIDTH - 1]}…"
    return Node(key=f"{label}:{identifier}", label=label, id=identifier, caption=caption)


def _pictured(store: GraphStore, nodes: Iterable[Node]) -> list[Node]:
    listed = list(nodes)
    known = cards(store, [node.id for node in listed if node.label == "Item" and node.id is not None])
    for node in listed:
        if node.label == "Image":
            node.picture = node.id
        elif node.label == "Item" and node.id in known:
            node.picture = known[node.id].picture
    return listed
