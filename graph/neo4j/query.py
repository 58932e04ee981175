"""One read-only query on a Neo4j server: asked for its type before it runs, then bounded in time and size."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, LiteralString, NamedTuple

import neo4j
import neo4j.exceptions
import pyarrow as pa

from graph.errors import QueryRefused, StoreError
from graph.readonly.guard import MAX_RESULT_BYTES, check_read_only
from graph.readonly.unknown import schema_names, unknown_name

# what the server tells of a query -> what it misses, and the names that the graph has
_UNKNOWN: Mapping[str, tuple[str, LiteralString]] = {
    "01N50": ("label", "CALL db.labels() YIELD label RETURN label AS name"),
    "01N51": (
        "relationship type",
        "CALL db.relationshipTypes() YIELD relationshipType RETURN relationshipType AS name",
    ),
    "01N52": ("property", "CALL db.propertyKeys() YIELD propertyKey RETURN propertyKey AS name"),
}


class Answer(NamedTuple):
    """The rows of a query, and a sentence for each name in it that the graph does not have."""

    table: pa.Table
    unknown: list[str]


def run_query(session: neo4j.Session, cypher: str, parameters: dict[str, Any], *, limit: int, timeout: float) -> Answer:
    """The rows of a query as Arrow; the transaction is read-only for the router and rolled back at the end.

    Raises `QueryRefused` for a query that the rules or the server's own reading call a write, or whose result
    is too large.
    """
    check_read_only(cypher, "neo4j")
    with session.begin_transaction(timeout=timeout) as transaction:
        # The server's verdict needs no values: EXPLAIN plans the query and runs nothing.
        plan = transaction.run(f"EXPLAIN {cypher}", parameters).consume()
        if plan.query_type != "r":
            raise QueryRefused(f"the server calls this query {plan.query_type!r}, not 'r' (read)")
        unknown = list(_unknown(transaction, plan))
        result = transaction.run(cypher, parameters)
        names = list(result.keys())
        columns: list[list[Any]] = [[] for _ in names]
        size = 0
        for count, record in enumerate(result):
            if count >= limit:
                break
            for column, value in zip(columns, record.values(), strict=True):
                plain = _plain(value)
                size += _size(plain)
                column.append(plain)
            if size > MAX_RESULT_BYTES:
                raise QueryRefused(f"the result passes {MAX_RESULT_BYTES:,} bytes; return less")
        transaction.rollback()
    if not names:
        raise StoreError("the query returns nothing; end it with RETURN")
    return Answer(pa.table([_array(column) for column in columns], names=names), unknown)


def _unknown(transaction: neo4j.Transaction, plan: neo4j.ResultSummary) -> Iterator[str]:
    """A sentence for each name that the server has not met; names of the schema are known without any data."""
    told = {status.gql_status: set[str]() for status in plan.gql_status_objects}
    for status in plan.gql_status_objects:
        told[status.gql_status].update(re.findall(r"`(.*?)`", status.status_description)[:1])
    for code, (kind, statement) in _UNKNOWN.items():
        if names := sorted(told.get(code, set()) - schema_names(kind)):
            known = {record["name"] for record in transaction.run(statement)}
            yield from (unknown_name(kind, name, known | schema_names(kind)) for name in names)


def _plain(value: Any) -> Any:
    """Nodes and relationships as JSON text (with `_ID`, `_SRC`, `_DST`), dates as ISO text, the rest as it is."""
    if isinstance(value, neo4j.graph.Node | neo4j.graph.Relationship | neo4j.graph.Path):
        return json.dumps(_entity(value), ensure_ascii=False)
    if isinstance(value, list):
        return [_plain(v) for v in value]
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if hasattr(value, "iso_format"):
        return value.iso_format()
    return value


def _entity(value: Any) -> Any:
    if isinstance(value, neo4j.graph.Path):
        return {
            "nodes": [_entity(n) for n in value.nodes],
            "relationships": [_entity(r) for r in value.relationships],
        }
    properties = {k: _plain(v) for k, v in value.items() if k != "embedding"}
    if isinstance(value, neo4j.graph.Node):
        return {"labels": sorted(value.labels), **properties, "_ID": value.element_id}
    ends = {"_SRC": value.start_node.element_id, "_DST": value.end_node.element_id}
    return {"type": value.type, **properties, "_ID": value.element_id, **ends}


def _size(value: Any) -> int:
    if isinstance(value, str | bytes):
        return len(value)
    if isinstance(value, dict):
        return _sizes(value.values())
    return _sizes(value) if isinstance(value, list) else 8


def _sizes(values: Iterable[Any]) -> int:
    return sum(map(_size, values))


def _array(values: list[Any]) -> pa.Array:
    """One type for a column; where its values have several, their JSON text."""
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return pa.array([None if v is None else json.dumps(v, ensure_ascii=False) for v in values])
