"""What the graph knows of a user and a candidate: links from the history to it, friends, what is popular, ages."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float
from torch_geometric.data import HeteroData

from gnn.blocked import blocked_top, keep_top
from gnn.closed_form.item_knn import cosine_links
from gnn.matrices import histories, interactions, inverse_power, media_similarity, timed
from graph.hetero import INTERACTED
from graph.schema import HAS

TOGETHER, FRIENDS, POPULAR, HISTORY = "together", "friends", "popular", "history"
"""Groups of evidence beside the modalities and the relations, which go by their own names."""

ROW_ENTRIES = 100
"""Links kept for each item, the strongest."""

MOST_RELATIONS = 16
"""Relations of the graph that are evidence of their own, those with the most links; the others count together."""

_OTHERS = "other relations"
_HALF_LIVES = (7, 30, 180)
_DAY = 86_400


@dataclass(frozen=True)
class Links:
    """One kind of way from an item of the history to a candidate."""

    group: str
    weights: sp.csr_matrix
    """Items x items, float32, no negative weight: how strongly the row's item speaks for the column's."""


@dataclass(frozen=True)
class Evidence:
    """What features are computed from; arrays only, so that it travels with the model."""

    history: sp.csr_matrix
    """Users x items, float32: how much each training interaction counts, 1 on average."""
    links: tuple[Links, ...]
    facts: Mapping[str, Float[np.ndarray, "items"]]
    """Name -> a number of each item: what is popular, how old."""
    friends: sp.csr_matrix | None = None
    """Users x users, float32, 1 where one follows the other either way; None where nobody follows anybody."""

    @classmethod
    def of(cls, data: HeteroData) -> "Evidence":
        """All that a graph holds."""
        return cls(histories(data), tuple(_links(data)), _facts(data), _friends(data))


def _links(data: HeteroData) -> Iterator[Links]:
    yield Links(TOGETHER, cosine_links(histories(data), ROW_ENTRIES, shrinkage=0.0))
    for modality in HAS:
        similar = media_similarity(data, modality)
        if similar is not None:
            yield Links(modality, keep_top(similar, ROW_ENTRIES))
    yield from _relations(data)


def _relations(data: HeteroData) -> Iterator[Links]:
    """Items that share an entity by one relation: each entity gives 1 / (its items) to every pair of them."""
    if ("Item", "RELATED", "Entity") not in data.edge_types:
        return
    edges = data["Item", "RELATED", "Entity"]
    items, entities = edges.edge_index.numpy()
    codes = edges.relation.numpy()
    shape = (int(data["Item"].num_nodes), int(data["Entity"].num_nodes))
    found: list[tuple[str, sp.csr_matrix]] = []
    for code in np.unique(codes):
        at = codes == code
        owns = sp.csr_matrix((np.ones(int(at.sum()), np.float32), (items[at], entities[at])), shape=shape)
        owns.sum_duplicates()
        owns.data[:] = 1
        shared = owns[:, np.flatnonzero(owns.getnnz(axis=0) > 1)]
        same = any(s.shape == shared.shape and (s != shared).nnz == 0 for _, s in found)  # an inverse, by another name
        if shared.nnz and not same:
            found.append((data.relations[code], shared.tocsr()))
    found.sort(key=lambda pair: (-pair[1].nnz, pair[0]))
    for name, shared in found[:MOST_RELATIONS]:
        yield Links(name, _shared(shared))
    if len(found) > MOST_RELATIONS:
        yield Links(_OTHERS, _shared(sp.hstack([shared for _, shared in found[MOST_RELATIONS:]], format="csr")))


def _shared(owns: sp.csr_matrix) -> sp.csr_matrix:
    back = (sp.diags(inverse_power(owns.getnnz(axis=0).astype(np.float64), 1.0)) @ owns.T).tocsr()

    def rows(start: int, stop: int) -> sp.csr_matrix:
        block = (owns[start:stop] @ back).tocsr()
        own = np.repeat(np.arange(start, stop), np.diff(block.indptr)) == block.indices
        block.data[own] = 0
        block.eliminate_zeros()
        return block

    return blocked_top(rows, owns.shape[0], ROW_ENTRIES)


def _facts(data: HeteroData) -> dict[str, Float[np.ndarray, "items"]]:
    seen = interactions(data)
    found = {"popular": np.log1p(np.asarray(seen.sum(axis=0)).ravel())}
    if timed(data):
        edges = data[INTERACTED]
        age = (edges.timestamp.max() - edges.timestamp).numpy() / _DAY
        items = edges.edge_index[1].numpy()
        for days in _HALF_LIVES:
            counts = np.bincount(items, 0.5 ** (age / days), minlength=seen.shape[1])
            found[f"popular {days} d"] = np.log1p(counts)
        last = np.full(seen.shape[1], age.max() if len(age) else 0.0)
        np.minimum.at(last, items, age)
        found["days since last"] = last
    return {name: values.astype(np.float32) for name, values in found.items()}


def _friends(data: HeteroData) -> sp.csr_matrix | None:
    if ("User", "FOLLOWS", "User") not in data.edge_types:
        return None
    source, target = data["User", "FOLLOWS", "User"].edge_index.numpy()
    if not len(source):
        return None
    users = int(data["User"].num_nodes)
    follows = sp.csr_matrix((np.ones(len(source), np.float32), (source, target)), shape=(users, users))
    both = (follows + follows.T).tocsr()
    both.setdiag(0)
    both.eliminate_zeros()
    both.data[:] = 1
    return both
