"""One read-only question to a store: a query, a recipe of the cookbook or a similarity search."""

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa

from graph.cookbook.recipes import find
from graph.cookbook.similarity_search import SEARCHES
from graph.store import GraphStore

if TYPE_CHECKING:
    from modalweave.results.explanation import Drawing


class Question(NamedTuple):
    """What is asked; `name`, of the cookbook or a search, stands before `query`."""

    query: str | None = None
    name: str | None = None
    parameters: Mapping[str, Any] = MappingProxyType({})
    config: Path | None = None
    """Where a search finds the encoder of a query text or file."""


def answer(store: GraphStore, question: Question, *, limit: int, timeout: float) -> pa.Table:
    """The rows; at most `limit` of them, within `timeout` seconds a query."""
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
