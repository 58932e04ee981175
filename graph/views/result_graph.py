"""The nodes and relationships that the rows of a query hold, as a networkx graph."""

import json
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

import networkx as nx
import pyarrow as pa

from graph.errors import GraphError
from graph.schema import MEDIA_LABELS

_COLUMNS = {
    "user": "User",
    "item": "Item",
    "other": "Item",
    "entity": "Entity",
    "text": "Text",
    "image": "Image",
    "audio": "Audio",
}
"""Columns that hold ids, as the cookbook names them, and the label they stand for."""
_CENTRES = {"user": "User", "item": "Item", "entity": "Entity", "text": "Query", "picture": "Query", "sound": "Query"}
"""Parameters that name the node every row speaks of."""
_CAPTIONS = ("title", "name", "uri", "content", "id")


def result_graph(
    table: pa.Table, parameters: Mapping[str, Any] | None = None, *, media: str | None = None
) -> nx.MultiDiGraph:
    """Nodes have `label`, `caption` and `properties`, edges `type` and `properties`.

    Rows that hold nodes, relationships or paths give those; an end that no row returns is drawn without a label.
    Rows of plain ids, as the cookbook gives, link the ids of a row in their order, after the node that a parameter
    (`item`, `user`, `entity`) names. `media` is the modality of a column `media`. Raises `GraphError` where the
    rows hold neither.
    """
    graph = nx.MultiDiGraph()
    rows = table.to_pylist()
    for row in rows:
        for value in row.values():
            _add(graph, value)
    if not len(graph):
        columns = {**_COLUMNS, **({"media": MEDIA_LABELS[media]} if media else {})}
        for row in rows:
            _add_ids(graph, row, parameters or {}, columns)
    if not len(graph):
        raise GraphError(
            "the result holds no nodes to draw; return some, e.g. MATCH (u:User)-[r:INTERACTED]->(i:Item) "
            "RETURN u, r, i LIMIT 50"
        )
    return graph


def _add(graph: nx.MultiDiGraph, value: Any) -> None:
    """Whatever a value holds; both stores' forms of nodes, relationships and paths, and lists of them."""
    if isinstance(value, str) and value.startswith("{") and '"' in value:
        try:
            value = json.loads(value)
        except ValueError:
            return
    if isinstance(value, list):
        for inner in value:
            _add(graph, inner)
    if not isinstance(value, dict):
        return
    for key in ("_NODES", "_RELS", "nodes", "relationships"):
        if isinstance(value.get(key), list):
            _add(graph, value[key])
    if "_SRC" in value and "_DST" in value:
        source, target, key = (_key(value[name]) for name in ("_SRC", "_DST", "_ID"))
        graph.add_edge(
            source, target, key=key, type=str(value.get("type") or value.get("_LABEL")), properties=_properties(value)
        )
    elif "_ID" in value:
        labels = value.get("labels") or [value.get("_LABEL") or ""]
        _add_node(graph, _key(value["_ID"]), str(labels[0]), _properties(value))


def _add_ids(graph: nx.MultiDiGraph, row: Mapping[str, Any], given: Mapping[str, Any], columns: dict[str, str]) -> None:
    chain = [(_CENTRES[name], str(value)) for name, value in given.items() if name in _CENTRES][:1]
    for node in chain:
        if node not in graph:
            _add_node(graph, node, node[0], {"id": node[1]})
    if {"kind", "id"} <= set(row):
        label = _COLUMNS.get("audio" if row["kind"] == "sound" else row["kind"])
        found = [(label, row["id"])] if label else []
    else:
        found = [(columns[name], row[name]) for name in row if name in columns and row[name] is not None]
    for label, identifier in found:
        node = (label, str(identifier))
        extra = {"title": row.get("title")} if label == "Item" else {"name": row.get("name")}
        _add_node(graph, node, label, {"id": node[1], **extra})
        chain.append(node)
    said = {name: value for name, value in row.items() if name not in columns and name not in ("title", "name")}
    for source, target in pairwise(chain):
        kind = str(said.get("relation") or said.get("detail") or "")
        graph.add_edge(source, target, type=kind, properties=said)


def _add_node(graph: nx.MultiDiGraph, key: Any, label: str, properties: Mapping[str, Any]) -> None:
    kept = {name: value for name, value in properties.items() if value is not None}
    caption = next((str(kept[name]) for name in _CAPTIONS if kept.get(name)), "")
    graph.add_node(key, label=label, caption=caption, properties=kept)


def _properties(value: Mapping[str, Any]) -> dict[str, Any]:
    inner = ("labels", "type", "embedding", "_ID", "_SRC", "_DST", "_LABEL", "_NODES", "_RELS")
    shown = {name: v for name, v in value.items() if v is not None and name not in inner}
    return shown if "_SRC" in value or value.get("type") is None else {**shown, "type": value["type"]}


def _key(value: Any) -> Any:
    return tuple(sorted(value.items())) if isinstance(value, dict) else value


def captions(graph: nx.MultiDiGraph, width: int) -> Iterator[tuple[Any, str]]:
    """Node and what to write beside it: at most `width` characters on one line."""
    for node, data in graph.nodes(data=True):
        text = " ".join(str(data.get("caption", "")).split())
        yield node, text if len(text) <= width else f"{text[: width - 1]}…"
