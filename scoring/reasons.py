"""Why an item is in a list, for a whole shard at once: the best path of each kind from what the user chose.

The kinds are those of `graph.views.paths`. What items have in common is found by the nodes that both lead to; what is
alike, or chosen together, by a short list of each item. One path of each kind, the strongest: over the rarest node, or
from the most alike item.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import scipy.sparse as sp
from jaxtyping import Int
from torch_geometric.data import HeteroData

from gnn.closed_form.item_knn import cosine_links
from graph.hetero import graph_hash
from graph.schema import HAS, MEDIA_LABELS, EdgeType

_MOST_SHARED = 50
"""Items with one and the same picture, sound or text, above which it says nothing of any of them."""
_TOGETHER = 50
"""Items kept of each that are chosen with it most, measured by the cosine of their users."""
_FEWEST_PEOPLE = 2
_BLOCK = 50_000
"""Links looked at together: what bounds the memory."""

_SHARED = pl.Schema({"item": pl.Int64, "node": pl.Int64, "weight": pl.Float64, "relation": pl.Int64})
_ALIKE = pl.Schema({"item": pl.Int64, "other": pl.Int64, "score": pl.Float64})


class Path(NamedTuple):
    """One way from an item that was chosen to one that is recommended."""

    kind: str
    """`media`, `entity`, `similar` or `user`."""
    modality: str | None
    """Of `media` and `similar`."""
    history: str
    """Title of the item that was chosen, or its id."""
    entity: str | None = None
    relations: tuple[str, str] | None = None
    """How the chosen and the recommended item are related to the entity."""


@dataclass(frozen=True)
class Grounds:
    """What a graph says of pairs of items, in the order of a bundle's items."""

    shared: Mapping[str, pl.DataFrame]
    """Modality, or `entity` -> `item`, `node`, `weight` (rarity), `relation` (code)."""
    alike: Mapping[str, pl.DataFrame]
    """Modality, or `user` -> `item`, `other`, `score`."""
    titles: Sequence[str]
    """Of items."""
    entities: Sequence[str]
    """Names, by node."""
    relations: Sequence[str]
    digest: str
    """Of all that decides a reason."""

    def paths(
        self, history: sp.csr_matrix, users: Int[np.ndarray, "links"], items: Int[np.ndarray, "links"], most: int
    ) -> list[tuple[Path, ...]]:
        """At most `most` paths for each link, one of a kind: what is shared, what is alike, what is chosen together.

        `history` [users, items] is what the paths start from.
        """
        found: list[tuple[Path, ...]] = []
        for start in range(0, len(users), _BLOCK):
            found += self._block(history, users[start : start + _BLOCK], items[start : start + _BLOCK], most)
        return found

    def _block(
        self, history: sp.csr_matrix, users: Int[np.ndarray, "links"], items: Int[np.ndarray, "links"], most: int
    ) -> list[tuple[Path, ...]]:
        pairs = pl.DataFrame(
            {"row": np.arange(len(users)), "user": users.astype(np.int64), "item": items.astype(np.int64)}
        )
        people = np.unique(users)
        chosen = history[people].tocoo()
        own = pl.DataFrame({"user": people[chosen.row].astype(np.int64), "other": chosen.col.astype(np.int64)})
        best = [_over_nodes(pairs, own, table).with_columns(kind=pl.lit(kind)) for kind, table in self.shared.items()]
        best += [
            _between_items(pairs, own, table).with_columns(kind=pl.lit(kind)) for kind, table in self.alike.items()
        ]
        paths: list[tuple[Path, ...]] = [()] * len(users)
        if best:
            order = {name: rank for rank, name in enumerate((*self.shared, *self.alike))}
            rows = pl.concat(best, how="diagonal")
            rows = rows.with_columns(order=pl.col("kind").replace_strict(order, return_dtype=pl.Int64)).sort(
                "row", "order"
            )
            for row, of_row in groupby(rows.iter_rows(named=True), lambda found: found["row"]):
                paths[row] = tuple(self._path(found) for found, _ in zip(of_row, range(most), strict=False))
        return paths

    def _path(self, found: Mapping[str, Any]) -> Path:
        name, history = found["kind"], self.titles[found["other"]]
        if name == "entity":
            relations = self.relations[found["other_relation"]], self.relations[found["relation"]]
            return Path("entity", None, history, self.entities[found["node"]], relations)
        kind, _, modality = name.partition(" ")
        return Path(kind, modality or None, history)


@dataclass(frozen=True)
class Reasons:
    """Grounds, and how they are put into words; it is given to the processes of a job."""

    grounds: Grounds
    say: Callable[[Sequence[Path]], str]
    """Paths of one link -> its reason."""
    popular: str
    """What is said of an item that is listed because it is popular."""
    language: str
    digest: str
    """Of all that decides a reason, its words included: pinned in the folder of a job."""
    most: int = 2

    def __call__(
        self,
        history: sp.csr_matrix,
        users: Int[np.ndarray, "links"],
        items: Int[np.ndarray, "links"],
        sources: np.ndarray,
    ) -> list[str | None]:
        """A reason for each link; None where nothing leads there."""
        words: dict[tuple[Path, ...], str] = {}
        found: list[str | None] = []
        paths = self.grounds.paths(history, users, items, self.most)
        for path, source in zip(paths, sources.tolist(), strict=True):
            if path and path not in words:
                words[path] = self.say(path)
            found.append(words[path] if path else self.popular if source == "popularity" else None)
        return found


def grounds(
    data: HeteroData,
    item_ids: Sequence[str],
    history: sp.csr_matrix,
    *,
    titles: Sequence[str | None],
    entities: Sequence[str | None],
) -> Grounds:
    """What the graph says of pairs of a bundle's items.

    `history` [users, items] says what people choose together; `titles` and `entities` are names, None for an id.
    """
    place = _places(data["Item"].ids, item_ids)
    count = len(item_ids)
    shared = {f"media {m}": _of_media(data, m, place, count) for m in MEDIA_LABELS}
    shared["entity"] = _of_entities(data, place, count)
    alike = {f"similar {m}": _alike(data, m, place) for m in MEDIA_LABELS}
    alike["user"] = _together(history)
    named = [title or name for title, name in zip(titles, item_ids, strict=True)]
    known = [name or identifier for name, identifier in zip(entities, data["Entity"].ids, strict=True)]
    facts = json.dumps([graph_hash(data), list(item_ids), named, known])
    people = hashlib.sha256(history.indptr.tobytes() + history.indices.tobytes()).hexdigest()
    return Grounds(
        {kind: table for kind, table in shared.items() if len(table)},
        {kind: table for kind, table in alike.items() if len(table)},
        named,
        known,
        list(data.relations),
        hashlib.sha256((facts + people).encode()).hexdigest(),
    )


def _over_nodes(pairs: pl.DataFrame, own: pl.DataFrame, table: pl.DataFrame) -> pl.DataFrame:
    """Per pair the rarest node that both its item and one that was chosen lead to, and the first such item."""
    reached = own.join(table.select(other="item", node="node", other_relation="relation"), on="other")
    reached = reached.sort("user", "node", "other", "other_relation").unique(["user", "node"], keep="first")
    found = pairs.join(table, on="item").join(reached, on=["user", "node"]).filter(pl.col("other") != pl.col("item"))
    best = found.sort("row", -pl.col("weight"), "other", "node", "relation").unique("row", keep="first")
    return best.select("row", "other", "node", "relation", "other_relation")


def _between_items(pairs: pl.DataFrame, own: pl.DataFrame, table: pl.DataFrame) -> pl.DataFrame:
    """Per pair the most alike item that was chosen."""
    found = pairs.join(table, on="item").join(own, on=["user", "other"])
    return found.sort("row", -pl.col("score"), "other").unique("row", keep="first").select("row", "other")


def _places(ids: Sequence[str], item_ids: Sequence[str]) -> Int[np.ndarray, "items"]:
    """A graph's items -> their numbers in the bundle, -1 for those it does not know."""
    order = {name: row for row, name in enumerate(item_ids)}
    return np.array([order.get(name, -1) for name in ids], dtype=np.int64)


def _links(data: HeteroData, modality: str, place: Int[np.ndarray, "items"]) -> pl.DataFrame:
    """`item`, `node` of a modality."""
    key = EdgeType("Item", HAS[modality], MEDIA_LABELS[modality])
    items, nodes = data[key].edge_index.numpy()
    return pl.DataFrame({"item": place[items], "node": nodes}).filter(pl.col("item") >= 0).unique(maintain_order=True)


def _weighed(links: pl.DataFrame, count: int, most: int | None = None) -> pl.DataFrame:
    """With the rarity of nodes that several items, and no more than `most`, lead to (`graph.views.paths`)."""
    degree = links.group_by("node").agg(degree=pl.col("item").n_unique()).filter(pl.col("degree") > 1)
    if most is not None:
        degree = degree.filter(pl.col("degree") <= most)
    rarity = ((count / pl.col("degree")).log() / np.log(max(2, count))).clip(lower_bound=0.0)
    return links.join(degree.with_columns(weight=rarity), on="node", maintain_order="left").drop("degree")


def _of_media(data: HeteroData, modality: str, place: Int[np.ndarray, "items"], count: int) -> pl.DataFrame:
    links = _weighed(_links(data, modality, place), count, _MOST_SHARED)
    return links.with_columns(relation=pl.lit(0, pl.Int64)).select(_SHARED.names()).cast(_SHARED)


def _of_entities(data: HeteroData, place: Int[np.ndarray, "items"], count: int) -> pl.DataFrame:
    edges = data["Item", "RELATED", "Entity"]
    items, nodes = edges.edge_index.numpy()
    links = pl.DataFrame({"item": place[items], "node": nodes, "relation": edges.relation.numpy()})
    return _weighed(links.filter(pl.col("item") >= 0), count).select(_SHARED.names()).cast(_SHARED)


def _alike(data: HeteroData, modality: str, place: Int[np.ndarray, "items"]) -> pl.DataFrame:
    """Items whose media are linked as similar, in either direction, by their best link."""
    label = MEDIA_LABELS[modality]
    edges, links = data[label, "SIMILAR", label], _links(data, modality, place)
    few = links.group_by("node").len().filter(pl.col("len") <= _MOST_SHARED).select("node")
    links = links.join(few, on="node", how="semi")
    a, b = edges.edge_index.numpy()
    near = pl.DataFrame(
        {"a": np.concatenate([a, b]), "b": np.concatenate([b, a]), "score": np.tile(edges.score.numpy(), 2)}
    )
    found = near.join(links.rename({"node": "a"}), on="a").join(links.select(other="item", b="node"), on="b")
    found = found.filter(pl.col("item") != pl.col("other")).group_by("item", "other").agg(pl.col("score").max())
    return found.sort("item", "other").select(_ALIKE.names()).cast(_ALIKE)


def _together(history: sp.csr_matrix) -> pl.DataFrame:
    """Items that several people chose with an item, the `_TOGETHER` nearest of each."""
    binary = sp.csr_matrix(history.sign(), dtype=np.float32)
    near = cosine_links(binary, _TOGETHER, shrinkage=0.0).tocoo()
    users = np.bincount(binary.indices, minlength=binary.shape[1])
    both = near.data * np.sqrt(users[near.row].astype(np.float64) * users[near.col])
    kept = np.rint(both) >= _FEWEST_PEOPLE
    columns = {"item": near.row[kept], "other": near.col[kept], "score": near.data[kept]}
    return pl.DataFrame(columns).sort("item", "other").cast(_ALIKE)
