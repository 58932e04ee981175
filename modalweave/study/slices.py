"""Where media help: the same questions within groups of users and of items."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp
from jaxtyping import Bool, Int
from torch_geometric.data import HeteroData

from evaluation.effects import corrected, raw_effects
from evaluation.metrics import evaluated_users, user_metrics
from evaluation.slices import ACTIVITY_EDGES, activity_groups, popularity_groups
from gnn.matrices import Split, held_out, interactions
from graph.schema import MODALITIES
from modalweave.errors import ConfigError
from modalweave.stages.evaluate import generated_items, items_with
from modalweave.study.variants import WORDS, Question

FEWEST = 20
"""Users under which a slice is left out: its interval says nothing."""

_Slice = tuple[str, str, Bool[np.ndarray, "users"] | None, Bool[np.ndarray, "items"] | None]
_CATEGORIES = 8
_MOST_CATEGORIES = 60


def gains_by_slice(
    data: HeteroData,
    split: Split,
    ranked: Mapping[str, Sequence[Int[np.ndarray, "evaluated depth"]]],
    asked: Sequence[Question],
    *,
    category: str | None,
    seed: int,
    resamples: int,
) -> list[dict[str, Any]]:
    """Rows of `effects` for recall of the whole list, with `group`, `slice`, `question`; Holm over all of them.

    `ranked` is variant -> one ranking a seed of the users with held-out items in `split`. A slice of items counts only
    the held-out items in it.
    """
    positives = held_out(data, split)
    rows = evaluated_users(positives)
    mine = positives[rows]
    train = interactions(data)
    found: dict[str, dict[str, Any]] = {}
    slices: list[_Slice] = [("user_activity", n, m, None) for n, m in activity_groups(train, ACTIVITY_EDGES).items()]
    for group, members in _item_groups(data, train, category).items():
        slices += [(group, name, None, mask) for name, mask in members.items()]
    for group, name, users, items in slices:
        part, kept = mine, np.arange(len(rows))
        if users is not None:
            kept = np.flatnonzero(users[rows])
        if items is not None:
            part = sp.csr_matrix(mine.multiply(items[None, :].astype(np.float32)))
            part.eliminate_zeros()
            kept = evaluated_users(part)
        if len(kept) < FEWEST:
            continue
        wanted = {q.with_it for q in asked} | {q.without for q in asked}
        values = {v: np.stack([_recall(r[kept], part[kept]) for r in ranked[v]]) for v in sorted(wanted)}
        pairs = {q.name: (q.with_it, q.without) for q in asked}
        for question, row in raw_effects(values, pairs, seed=seed, resamples=resamples).items():
            found[f"{group}|{name}|{question}"] = {"group": group, "slice": name, "question": question, **row}
    return list(corrected(found).values())


def categories(data: HeteroData, relation: str | None) -> tuple[str, dict[str, Bool[np.ndarray, "items"]]]:
    """The relation that says what an item is, and its most frequent entities' items; ("", {}) where none does.

    Without a name: the relation with the fewest entities (2 to 60) among those that at least half the items have.
    Raises `ConfigError` for a relation that no item has.
    """
    key = ("Item", "RELATED", "Entity")
    if key not in data.edge_types or not data[key].edge_index.shape[1]:
        if relation is not None:
            raise ConfigError(f"study.category {relation!r}: the graph has no RELATED links of items")
        return "", {}
    source, target = data[key].edge_index.numpy()
    codes = data[key].relation.numpy()
    sizes: dict[str, int] = {}
    for code, name in enumerate(data.relations):
        entities, items = np.unique(target[codes == code]), np.unique(source[codes == code])
        if (name == relation and len(items)) or (
            2 <= len(entities) <= _MOST_CATEGORIES and len(items) >= 0.5 * int(data["Item"].num_nodes)
        ):
            sizes[name] = len(entities)
    if relation is not None and relation not in sizes:
        known = [name for code, name in enumerate(data.relations) if (codes == code).any()]
        raise ConfigError(f"study.category {relation!r} is no relation of items; known are {', '.join(known)}")
    if not sizes:
        return "", {}
    name = relation or min(sizes, key=lambda n: (sizes[n], n))
    inside = codes == data.relations.index(name)
    entities, counts = np.unique(target[inside], return_counts=True)
    masks = {}
    for entity in entities[np.argsort(-counts, kind="stable")[:_CATEGORIES]]:
        mask = np.zeros(int(data["Item"].num_nodes), dtype=bool)
        mask[source[inside & (target == entity)]] = True
        masks[data["Entity"].ids[entity]] = mask
    return name, masks


def _item_groups(
    data: HeteroData, train: sp.csr_matrix, category: str | None
) -> dict[str, dict[str, Bool[np.ndarray, "items"]]]:
    relation, masks = categories(data, category)
    cold = np.bincount(train.indices, minlength=train.shape[1]) == 0
    missing = {f"no {WORDS[m]}": ~items_with(data, m) for m in MODALITIES if items_with(data, m).any()}
    groups = {
        "item_popularity": {f"{name} third": mask for name, mask in popularity_groups(train).items()},
        "cold_items": {"no training interaction": cold},
        "missing_modality": missing,
        **generated_items(data),
    }
    return groups | ({f"category ({relation})": masks} if relation else {})


def _recall(ranked: Int[np.ndarray, "users depth"], positives: sp.csr_matrix) -> np.ndarray:
    depth = ranked.shape[1]
    return user_metrics(ranked, positives, [depth])[f"recall@{depth}"]
