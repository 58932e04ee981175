"""Why an item: the shortest paths in the graph from a user's train history to a recommended item."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, LiteralString

from graph.errors import StoreError
from graph.schema import MEDIA_LABELS
from graph.store import GraphStore
from graph.views.path_queries import (
    COUNT_ITEMS,
    ENTITY,
    FIND_ITEM,
    FIND_USER,
    HAS_ANY,
    SHARED,
    SHOW_ENTITY,
    SHOW_SHARED,
    SHOW_SIMILAR,
    SHOW_USER,
    SIMILAR,
    USER,
)

_TITLE = 60
_KIND_WORDS = {"text": "a text", "image": "an image", "audio": "a sound"}


@dataclass(frozen=True)
class PathNode:
    """A node of a path; `title` is its title, name, file or text, or its id where it has none."""

    label: str
    id: str
    title: str


@dataclass(frozen=True)
class GraphPath:
    """One path behind a recommendation."""

    kind: Literal["media", "similar", "entity", "user"]
    nodes: tuple[PathNode, ...]
    """From the user over an item of their history to the recommended item."""
    score: float
    """0 to 1, comparable within a kind: similarity of media; rarity (normalised idf) of an entity or a user."""
    sentence: str
    """The path in plain words."""
    cypher: LiteralString
    """The query that shows it (with the others of its kind) on either store."""
    parameters: Mapping[str, Any]
    """The query's parameters."""
    show: LiteralString
    """The query that returns it whole, with `$user`, `$item` and `$history`, a list: its second node."""
    relations: tuple[str, str] | None = None
    """Of a shared entity: how the item of the history and how the recommended item are related to it."""

    @property
    def history(self) -> str:
        """The id of the item of the user's history that it starts from."""
        return self.nodes[1].id


def explain_paths(store: GraphStore, user_id: str, item_id: str, *, limit: int = 10) -> list[GraphPath]:
    """At most `limit` paths from the user's train history to the item; the best of every kind come first.

    Kinds: the same media (`media`), a nearest-neighbour pair of media (`similar`), a shared entity (`entity`), a
    user who chose both (`user`). Rarity is `log(items / degree) / log(items)` (inverse document frequency,
    Spaerck Jones 1972), as Adamic and Adar (2003) weigh shared neighbours. Raises `StoreError` for an unknown
    user or item.
    """
    if not store.query(FIND_USER, {"user": user_id}).num_rows:
        raise StoreError(f"user {user_id!r} is not in {store.address}; give an id of the users table")
    titles = store.query(FIND_ITEM, {"item": item_id})["title"].to_pylist()
    if not titles:
        raise StoreError(f"item {item_id!r} is not in {store.address}; give an id of the items table")
    items = int(store.query(COUNT_ITEMS)["items"][0].as_py())
    search = _Search(store, PathNode("User", user_id, user_id), path_node("Item", item_id, titles[0]), items, limit)
    kinds = [*search.media(), search.entities(), search.users()]
    ranked = [(rank, path) for paths in kinds for rank, path in enumerate(paths)]
    ranked.sort(key=lambda pair: (pair[0], len(pair[1].nodes), -pair[1].score, [n.id for n in pair[1].nodes]))
    return [path for _, path in ranked[:limit]]


@dataclass(frozen=True)
class _Search:
    store: GraphStore
    user: PathNode
    item: PathNode
    items: int
    limit: int

    def media(self) -> Iterator[list[GraphPath]]:
        for modality, label in MEDIA_LABELS.items():
            if not self.store.query(HAS_ANY[modality], {"item": self.item.id}).num_rows:
                continue
            yield [
                self._path(
                    "media",
                    row,
                    (path_node(label, row["media"], row["media_title"]),),
                    1.0,
                    f"has the same {modality} as {self.item.title}",
                    SHARED[modality],
                    SHOW_SHARED[modality],
                )
                for row in self._rows(SHARED[modality])
            ]
            yield [
                self._path(
                    "similar",
                    row,
                    (
                        path_node(label, row["media"], row["media_title"]),
                        path_node(label, row["other"], row["other_title"]),
                    ),
                    min(1.0, max(0.0, row["score"] or 0.0)),
                    f"has {_KIND_WORDS[modality]} much like that of {self.item.title} "
                    f"(similarity {row['score'] or 0.0:.2f})",
                    SIMILAR[modality],
                    SHOW_SIMILAR[modality],
                )
                for row in self._rows(SIMILAR[modality])
            ]

    def entities(self) -> list[GraphPath]:
        return [
            self._path(
                "entity",
                row,
                (entity := path_node("Entity", row["entity"], row["entity_title"]),),
                self._rarity(row["degree"]),
                f"is related to {entity.title} ({_words(row['relation'])}), "
                f"as is {self.item.title} ({_words(row['item_relation'])})",
                ENTITY,
                SHOW_ENTITY,
                (row["relation"], row["item_relation"]),
            )
            for row in self._rows(ENTITY)
        ]

    def users(self) -> list[GraphPath]:
        return [
            self._path(
                "user",
                row,
                (PathNode("User", row["other"], row["other"]),),
                self._rarity(row["degree"]),
                f"was chosen by {row['other']}, who also chose {self.item.title}",
                USER,
                SHOW_USER,
            )
            for row in self._rows(USER)
        ]

    def _rows(self, cypher: LiteralString) -> list[dict[str, Any]]:
        return self.store.query(cypher, self._parameters(), limit=self.limit).to_pylist()

    def _parameters(self) -> dict[str, Any]:
        return {"user": self.user.id, "item": self.item.id, "limit": self.limit}

    def _path(
        self,
        kind: Literal["media", "similar", "entity", "user"],
        row: Mapping[str, Any],
        between: tuple[PathNode, ...],
        score: float,
        rest: str,
        cypher: LiteralString,
        show: LiteralString,
        relations: tuple[str, str] | None = None,
    ) -> GraphPath:
        history = path_node("Item", row["history"], row["history_title"])
        nodes = (self.user, history, *between, self.item)
        sentence = f"{self.user.title} chose {history.title}, which {rest}."
        return GraphPath(kind, nodes, score, sentence, cypher, self._parameters(), show, relations)

    def _rarity(self, degree: int) -> float:
        return max(0.0, math.log(self.items / max(1, degree)) / math.log(max(2, self.items)))


def path_node(label: str, identifier: str, title: str | None) -> PathNode:
    """A node by its title, or its id where it has none: on one line, not too long."""
    text = " ".join((title or identifier).split())
    return PathNode(label, identifier, text if len(text) <= _TITLE else f"{text[: _TITLE - 1]}…")


def _words(relation: str) -> str:
    return relation.replace("_", " ")
