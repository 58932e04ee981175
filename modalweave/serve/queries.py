"""Questions that several pages ask the graph; every value is a parameter."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, LiteralString

from graph.store import GraphStore
from graph.views.result_graph import result_graph
from modalweave.errors import RunError
from modalweave.serve.answers import Card, Counted

MOST_SHOWN = 200
"""Links of one kind on a page; what lies beyond is counted."""

_CARDS: LiteralString = "MATCH (i:Item) WHERE i.id IN $items RETURN i.id AS id, i.title AS title"
_PICTURES: LiteralString = """
MATCH (i:Item)-[h:HAS_IMAGE]->(m:Image) WHERE i.id IN $items
RETURN i.id AS id, m.id AS picture, h.position AS position"""


class NotThere(RunError):
    """An item, a user or a file that the graph does not hold."""


def cards(store: GraphStore, items: Iterable[str]) -> dict[str, Card]:
    """Title and first picture of each item that is there."""
    wanted = list(dict.fromkeys(items))
    if not wanted:
        return {}
    many = max(len(wanted), 1)
    pictures: dict[str, tuple[int, str]] = {}
    for row in store.query(_PICTURES, {"items": wanted}, limit=50 * many).to_pylist():
        found = (row["position"] if row["position"] is not None else 1 << 30, row["picture"])
        pictures[row["id"]] = min(found, pictures.get(row["id"], found))
    rows = store.query(_CARDS, {"items": wanted}, limit=many).to_pylist()
    return {row["id"]: Card(**row, picture=pictures.get(row["id"], (0, None))[1]) for row in rows}


def properties(store: GraphStore, query: LiteralString, parameters: Mapping[str, Any], what: str) -> dict[str, Any]:
    """The properties of the one node that a query returns; `NotThere` where there is none."""
    table = store.query(query, parameters, limit=1)
    if not table.num_rows:
        raise NotThere(what)
    _, data = next(iter(result_graph(table).nodes(data=True)))
    return dict(data["properties"])


def by_month(times: Iterable[int | None]) -> list[Counted]:
    """How many of the times (seconds since 1970) lie in each month; months between without any are 0."""
    import numpy as np

    known = np.array([time for time in times if time is not None], dtype=np.int64)
    if not len(known):
        return []
    months = known.astype("datetime64[s]").astype("datetime64[M]")
    counts = np.bincount((months - months.min()).astype(np.int64))
    return [Counted(name=str(months.min() + place), count=int(count)) for place, count in enumerate(counts)]


def ordered(rows: Sequence[dict[str, Any]], key: str) -> list[dict[str, Any]]:
    """Newest first; rows without a time last, by id."""
    return sorted(rows, key=lambda row: (row[key] is None, -(row[key] or 0), str(row["id"])))
