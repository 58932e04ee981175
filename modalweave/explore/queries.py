"""One read-only question to a store: a query, a recipe of the cookbook or a similarity search."""

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, LiteralString, NamedTuple

import pyarrow as pa

from graph.cookbook.recipes import find
from graph.cookbook.similarity_search import SEARCHES
from graph.store import GraphStore

if TYPE_CHECKING:
    from modalweave.results.explanation import Drawing


ITEM_COLUMNS = ("item", "other")
"""Columns that hold ids of items, as the cookbook names them."""
_TITLES: LiteralString = "UNWIND $items AS item MATCH (i:Item) WHERE i.id = item RETURN i.id AS id, i.title AS title"


class Question(NamedTuple):
    """What is asked; `name`, of the cookbook or a search, stands before `query`."""

    query: str | None = None
    name: str | None = None
    parameters: Mapping[str, Any] = MappingProxyType({})
    config: Path | None = None
    """Where a search finds the encoder of a query text or file."""


class Answer(NamedTuple):
    """The rows of a question, as many as were asked for."""

    table: pa.Table
    cut: bool
    """Whether there are more."""


def answer(store: GraphStore, question: Question, *, limit: int, timeout: float) -> Answer:
    """The rows; at most `limit` of them, within `timeout` seconds a query."""
    table = _rows(store, question, limit + 1, timeout)
    return Answer(table.slice(0, limit), table.num_rows > limit)


def titles(store: GraphStore, table: pa.Table) -> dict[str, str]:
    """Item id -> title, for rows that name items by id alone."""
    named = [
        name
        for name in ITEM_COLUMNS
        if name in table.column_names and pa.types.is_string(table.schema.field(name).type)
    ]
    if not named or "title" in table.column_names:
        return {}
    ids = {value for name in named for value in table[name].to_pylist() if value is not None}
    rows = store.query(_TITLES, {"items": sorted(ids)}, limit=len(ids) or 1).to_pylist()
    return {row["id"]: row["title"] for row in rows if row["title"]}


def _rows(store: GraphStore, question: Question, limit: int, timeout: float) -> pa.Table:
    if question.name in SEARCHES:
        from modalweave.config import load_config
        from modalweave.explore.similarity_search import search

        config = load_config(question.config) if question.config else None
        return search(store, str(question.name), question.parameters, config).slice(0, limit)
    if question.name is not None:
        recipe = find(question.name)
        return store.query(recipe.cypher, recipe.arguments(question.parameters), limit=limit, timeout=timeout)
    return store.query(str(question.query), dict(question.parameters), limit=limit, timeout=timeout)


def picture(table: pa.Table, question: Question, path: Path) -> "Drawing":
    """Draw what the rows of an answer hold."""
    from graph.views.result_graph import result_graph
    from modalweave.explore.graph_drawing import draw

    found = SEARCHES.get(question.name or "")
    modality = found.modality if found else None
    graph = result_graph(table, question.parameters, media=modality)
    return draw(graph, path, title=question.name or " ".join(str(question.query).split()))


def parameter(text: str) -> tuple[str, Any]:
    """A pair from `key=text` or `key:=JSON` (a number, a list); `ValueError` that says how to write it."""
    key, separator, value = text.partition("=")
    if not separator or not key.removesuffix(":"):
        raise ValueError(f"{text!r}: write key=value")
    if not key.endswith(":"):
        return key, value
    try:
        return key.removesuffix(":"), json.loads(value)
    except ValueError:
        raise ValueError(f"{text!r}: {value!r} is no JSON; write key=value for a text") from None
