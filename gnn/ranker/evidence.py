"""What the graph knows of a user and a candidate: links from the history to it, friends, what is popular, ages."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float
from torch_geometric.data import HeteroData

from gnn.blocked import keep_top
from gnn.closed_form.item_knn import cosine_links
from gnn.matrices import histories, interactions, inverse_power, media_similarity, timed
from graph.hetero import INTERACTED
from graph.schema import HAS, MEDIA_LABELS, MODALITIES

TOGETHER, FRIENDS, POPULAR, HISTORY, AGREEMENT = "together", "friends", "popular", "history", "agreement"
"""Groups of evidence beside the modalities, relations and attributes, which go by their own names."""

ROW_ENTRIES = 100
"""Links kept for each item, the strongest."""

MOST_RELATIONS = 16
"""Relations of the graph that are evidence of their own, those with the most links; the others count together."""

_OWN_NAMES = {"model", TOGETHER, FRIENDS, POPULAR, HISTORY, AGREEMENT, *MODALITIES}
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
class Shared:
    """What items have in common: entities by one relation, or values of one attribute."""

    group: str
    owns: sp.csr_matrix
    """Items x what may be shared, float32, 1 where the item has it."""

    @cached_property
    def weights(self) -> sp.csr_matrix:
        """The same, each column summing to 1: what few items have says more."""
        return (self.owns @ sp.diags(inverse_power(self.owns.getnnz(axis=0).astype(np.float64), 1.0))).tocsr()


@dataclass(frozen=True)
class Evidence:
    """What features are computed from; arrays only, so that it travels with the model."""

    history: sp.csr_matrix
    """Users x items, float32: how much each training interaction counts, 1 on average."""
    links: tuple[Links, ...]
    facts: Mapping[str, Float[np.ndarray, "items"]]
    """Name -> a number of each item: what is popular, how old, whether it is new."""
    shared: tuple[Shared, ...] = ()
    habits: Mapping[str, Float[np.ndarray, "users"]] = field(default_factory=dict)
    """Name -> a number of each user."""
    friends: sp.csr_matrix | None = None
    """Users x users, float32, 1 where one follows the other either way; None where nobody follows anybody."""

    @cached_property
    def chosen(self) -> sp.csr_matrix:
        """Users x items, 1 where there was an interaction."""
        return self.history.sign()

    @classmethod
    def of(cls, data: HeteroData) -> "Evidence":
        """All that a graph holds."""
        shared = (*_relations(data), *_attributes(data))
        return cls(histories(data), tuple(_links(data)), _facts(data), shared, _habits(data), _friends(data))


def evidence_kinds(data: HeteroData) -> dict[str, tuple[str, ...]]:
    """Kind of evidence in a graph -> its groups, cheaply: what may be left out of a second stage, one after another."""
    media = [
        m for m in HAS if ("Item", HAS[m], MEDIA_LABELS[m]) in data.edge_types and media_similarity(data, m) is not None
    ]
    found: dict[str, tuple[str, ...]] = {TOGETHER: (TOGETHER,)}
    found |= {m: (m, AGREEMENT) if len(media) > 1 else (m,) for m in media}
    found |= {
        "relations": tuple(s.group for s in _relations(data)),
        "attributes": tuple(s.group for s in _attributes(data)),
    }
    found |= {FRIENDS: (FRIENDS,) if _friends(data) is not None else (), POPULAR: (POPULAR,), HISTORY: (HISTORY,)}
    return {kind: groups for kind, groups in found.items() if groups}


def _links(data: HeteroData) -> Iterator[Links]:
    yield Links(TOGETHER, cosine_links(histories(data), ROW_ENTRIES, shrinkage=0.0))
    for modality in HAS:
        similar = media_similarity(data, modality)
        if similar is not None:
            yield Links(modality, keep_top(similar, ROW_ENTRIES))


def _relations(data: HeteroData) -> Iterator[Shared]:
    """Entities that more than one item has, relation by relation."""
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
            name = data.relations[code]
            found.append((f"relation {name}" if name in _OWN_NAMES else name, shared.tocsr()))
    found.sort(key=lambda pair: (-pair[1].nnz, pair[0]))
    for name, shared in found[:MOST_RELATIONS]:
        yield Shared(name, shared)
    if len(found) > MOST_RELATIONS:
        others = sp.hstack([shared for _, shared in found[MOST_RELATIONS:]], format="csr")
        yield Shared(_OTHERS, sp.csr_matrix(others))


def _attributes(data: HeteroData) -> Iterator[Shared]:
    for name, codes in getattr(data, "attributes", {}).items():
        items = np.flatnonzero(codes.numpy() >= 0)
        values = codes.numpy()[items]
        shape = (len(codes), int(values.max(initial=-1)) + 1)
        owns = sp.csr_matrix((np.ones(len(items), np.float32), (items, values)), shape=shape)
        yield Shared(f"attribute {name}", owns[:, np.flatnonzero(owns.getnnz(axis=0) > 1)].tocsr())


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
    found["new"] = (seen.getnnz(axis=0) == 0).astype(np.float32)
    return {name: values.astype(np.float32) for name, values in found.items()}


def _habits(data: HeteroData) -> dict[str, Float[np.ndarray, "users"]]:
    if not timed(data):
        return {}
    edges = data[INTERACTED]
    age = ((edges.timestamp.max() - edges.timestamp).numpy() / _DAY).astype(np.float32)
    last = np.full(int(data["User"].num_nodes), age.max(), dtype=np.float32)
    np.minimum.at(last, edges.edge_index[0].numpy(), age)
    return {"days since the user's last": last}


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
