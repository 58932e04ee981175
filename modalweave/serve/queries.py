"""Questions that several pages ask the graph; every value is a parameter."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, LiteralString

from graph.store import GraphStore
from graph.views.result_graph import result_graph
from modalweave.errors import RunError
from modalweave.serve.answers import Card, Counted

MOST_SHOWN = 200
"""Links of one kind on a page; what lies beyond is counted."""

_CARDS: LiteralString = """
UNWIND $items AS item MATCH (i:Item) WHERE i.id = item OPTIONAL MATCH (i)-[h:HAS_IMAGE]->(m:Image)
RETURN i.id AS id, i.title AS title, m.id AS picture, h.position AS position"""
"""Of the forms that both stores run the one that looks every item up by its key."""


class NotThere(RunError):
    """An item, a user or a file that the graph does not hold."""


def cards(store: GraphStore, items: Iterable[str]) -> dict[str, Card]:
    """Title and first picture of each item that is there."""
    wanted = list(dict.fromkeys(items))
    if not wanted:
        return {}
    found: dict[str, Card] = {}
    rows = store.query(_CARDS, {"items": wanted}, limit=50 * len(wanted)).to_pylist()
    for row in sorted(rows, key=lambda row: (row["position"] is None, row["position"] or 0, row["picture"] or "")):
        found.setdefault(row["id"], Card(id=row["id"], title=row["title"], picture=row["picture"]))
    return found


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
