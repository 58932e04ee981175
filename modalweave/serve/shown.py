"""What templates ask for beside the answers: rows of bars, addresses, cells."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from markupsafe import Markup

from graph.cookbook.recipe import Recipe
from modalweave.results.explanation import ScoreParts
from modalweave.serve.answers import Card, Counted, GraphAnswer, Node

Bar = tuple[str, float, str]
"""Name, value, and the value as it is read."""

_LONG = 300
_LINKS = {
    "item": "/item",
    "other": "/item",
    "item_id": "/item",
    "i.id": "/item",
    "user": "/user",
    "user_id": "/user",
    "u.id": "/user",
}
_BESIDE = Markup(' <span class="soft">{}</span>')
_LINK = Markup('<a href="{}">{}</a>')


def counts(pairs: Iterable[tuple[str, int]]) -> list[Bar]:
    """Bars of numbers."""
    return [(name, count, f"{count:,}") for name, count in pairs]


def shares(found: Mapping[str, float]) -> list[Bar]:
    """Bars of shares of 1."""
    return [(name, share, f"{share:.0%}") for name, share in found.items()]


def of_all(found: Sequence[Counted], everything: int) -> list[Bar]:
    """Bars of parts of a number."""
    return [(one.name, one.count / everything, f"{one.count / everything:.0%}") for one in found]


def signed(found: Mapping[str, float]) -> list[Bar]:
    """Bars of what is added and taken away."""
    return [(name.replace("_", " "), value, f"{value:+.3f}") for name, value in found.items()]


def largest(found: Mapping[str, float]) -> float:
    """What a full bar of `signed` stands for."""
    return max(map(abs, found.values()), default=1.0)


def score_shares(model: ScoreParts, cards: Mapping[str, Card]) -> list[Bar]:
    """What each choice gives to a score, what all others give, and what comes from elsewhere."""
    known = [(_title(share.item, cards) or share.title, share.contribution) for share in model.history]
    others = [("…", model.others)] if model.others else []
    rest = [(name.replace("_", " "), value) for name, value in model.rest.items()]
    return [(name, value, f"{value:+.3f}") for name, value in (*known, *others, *rest)]


def histogram(found: Mapping[str, Sequence[Any]]) -> list[Counted]:
    """The columns of a coverage report's histogram, each named by where it begins."""
    return [Counted(name=str(edge), count=count) for edge, count in zip(found["edges"], found["counts"], strict=False)]


def by_key(found: GraphAnswer) -> dict[str, Node]:
    """The nodes of a drawing."""
    return {node.key: node for node in found.nodes}


def is_item(name: str) -> bool:
    """Whether a column of this name holds ids of items, as the cookbook and the API name them."""
    return _LINKS.get(name) == "/item"


def cell(name: str, value: Any, titles: Mapping[str, Card]) -> str:
    """A cell of a table: items and people lead to their pages, items by title, hashes and long texts are cut."""
    text = plain(value)
    short = f"{text[:12]}…" if len(text) == 64 and text.isalnum() else text
    page = _LINKS.get(name)
    if not page or not isinstance(value, str):
        return short
    link = _LINK.format(f"{page}?{urlencode({'id': value})}", short)
    title = _title(value, titles) if is_item(name) else None
    return link + _BESIDE.format(title) if title else link


def plain(value: Any) -> str:
    """A value as text: nested ones as JSON, long ones cut."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _LONG else f"{text[:_LONG]}…"


def download(query: str, given: Mapping[str, Any], recipe: Recipe | None, kind: str) -> str:
    """The parameters of the address of a query's rows as a file."""
    defaults = {key: value for key, value in recipe.parameters.items() if value is not None} if recipe else {}
    filled = {f"p.{key}": plain(value) for key, value in {**defaults, **given}.items()}
    return urlencode({"query": query, "format": kind, **filled})


def _title(item: str, cards: Mapping[str, Card]) -> str | None:
    return cards[item].title if item in cards else None
